"""`consul-lock status`: one lock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.exit_codes import NOT_SO, ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import NAME
from consul_lock_cli.output.data_command import DataCommand, Output, data_options
from consul_lock_cli.output.lock_json import STATUS, status_item
from consul_lock_cli.output.lock_table import describe
from consul_lock_cli.spec.connection import Connection

if TYPE_CHECKING:
    from consul_lock import Status


@click.command(cls=DataCommand)
@click.option("--watch", is_flag=True, help="Print it again after each change, until a signal.")
@data_options(*STATUS)
@console_options
@connection_options
@click.argument("key", type=NAME)
def status(connection: Connection, console: Console, output: Output, key: str, watch: bool) -> int:
    """Show the lock KEY: its state, its holders and its waiters.

    With -q nothing is printed, and the exit code is the answer: 0 it is held, 1 it is not,
    65 it is not a lock.  It counts as held if at least one of its holders is alive.

    Example: consul-lock status -q backup && echo "a backup is under way"
    """
    from consul_lock import Survey

    with connection.client(console) as client:
        survey = Survey(client)
        if watch:
            for number, seen in enumerate(survey.watch(key)):
                _again(seen, output, first=not number)
        seen = survey.status(key)
    if console.quiet:
        return ExitCode.DATA if seen.kind == "foreign" else 0 if seen.held else NOT_SO
    if seen.hidden:
        console.note(f"some keys of {shown(key, 512)} are hidden from this token", event="hidden")
    output.document([status_item(seen)], lambda: describe(seen, time.time()), hidden=seen.hidden)
    return 0


def _again(seen: Status, output: Output, first: bool) -> None:
    if output.wants_items:
        output.stream(status_item(seen))
    else:
        output.text(f"{'' if first else chr(10)}{describe(seen, time.time())}")
