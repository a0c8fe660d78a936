"""The scripts for shells, and the answers to a shell that completes a line.

Nobody wants to read errors in the middle of a line that they are typing, or to wait for them:
whatever goes wrong, the answer is that there is nothing to complete.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from consul_lock_cli.base.clock import in_time
from consul_lock_cli.base.console import Console
from consul_lock_cli.settings.catalogue import COMPLETION_VARIABLE

if TYPE_CHECKING:
    from consul_lock_cli.spec.connection import Connection

# Seconds in which Consul has to have answered.
_TIMEOUT = 1.0

_HARMLESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@%+=,-]*")

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = get_args(Shell)


def script(shell: Shell) -> str:
    """The script itself."""
    # Not those that click writes: they know nothing of the command that follows consul-lock, and
    # each version of click has its own format for completions.
    return Path(__file__).with_name(f"consul-lock.{shell}").read_text()


def answer(cli: click.Command, words: Sequence[str]) -> int:
    """Print the completions of the last of these words.  Silent whatever happens."""
    from click.shell_completion import ShellComplete

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        *before, last = words
        completer = ShellComplete(cli, {"obj": Console()}, "consul-lock", COMPLETION_VARIABLE)
        for item in completer.get_completions(before, last):
            click.echo("\t".join((item.type, item.value, " ".join((item.help or "").split()))))
    except Exception:  # noqa: BLE001 - see above
        pass
    return 0


def names(connection: Connection, incomplete: str, cron: bool = False) -> list[str]:
    """Names of locks, or cron jobs, that begin so; none if Consul does not say so in time."""
    found: list[str] = []
    in_time(lambda: found.extend(_names(connection, incomplete, cron)), _TIMEOUT)
    return found


def _names(connection: Connection, incomplete: str, cron: bool) -> list[str]:
    from consul_lock import Survey

    impatient = dict.fromkeys(("connect_timeout", "request_timeout"), _TIMEOUT)
    with connection.client(Console(), **impatient, retry_for=0.0) as client:
        seen = Survey(client).overview(incomplete)
    found = seen.crons if cron else [status for status in seen.locks if status.kind != "foreign"]
    # Others chose these names, and a shell reads what is put into its line.
    return [each.name for each in found if _HARMLESS.fullmatch(each.name)]
