"""`consul-lock`: the group of commands, and what becomes of their errors."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.version import version
from consul_lock_cli.group import Commands, LazyCommands
from consul_lock_cli.process.interrupt import Interrupted
from consul_lock_cli.process.signals import die_by

_COMMANDS = (
    "run", "leader", "ls", "status", "holders", "watch", "wait", "check", "break", "resize",
    "clean", "exporter", "doctor", "config", "completion", "cron", "dev", "version", "help",
)  # fmt: skip


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    click.echo(f"consul-lock {version()}")
    ctx.exit()


@click.group(
    cls=Commands,
    commands=LazyCommands(_COMMANDS),
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Print the version.",
)  # fmt: skip
def cli() -> None:
    """Distributed locks on Consul, for shell scripts and cron jobs."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; a traceback is shown with -vv only."""
    console = Console()
    try:
        code = cli.main(arguments, prog_name="consul-lock", standalone_mode=False, obj=console) or 0
    except Interrupted as stop:
        die_by(stop.signum)
    except (click.Abort, KeyboardInterrupt):
        die_by(signal.SIGINT)
    except click.ClickException as error:
        code = _misuse(error, console, sys.argv[1:] if arguments is None else arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the user gets one line
        code = _failed(error, console)
    leave(code)


def _misuse(error: click.ClickException, console: Console, words: Sequence[str]) -> ExitCode:
    if isinstance(error, click.NoSuchOption | click.BadOptionUsage):
        # No option was read, so -q was not either.
        options = itertools.takewhile(lambda word: word != "--", words)
        console.quiet = console.quiet or not {"-q", "--quiet"}.isdisjoint(options)
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "consul-lock"
    hint = error.hint if isinstance(error, Misuse) else ""
    console.error(
        error.format_message(), hint or f"'{path} --help' lists the options", code=ExitCode.USAGE
    )
    console.trace(error)
    return ExitCode.USAGE


def _failed(error: BaseException, console: Console) -> ExitCode:
    code, hint = failure(error)
    kind = "" if code is not ExitCode.SOFTWARE else f"{type(error).__name__}: "
    console.error(f"{kind}{complaint(error)} ({code:d})", hint, code=code)
    console.trace(error)
    return code


def leave(code: int) -> NoReturn:
    """End the process now: nothing that a thread still waits for may hold it up."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
