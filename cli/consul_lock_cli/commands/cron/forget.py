"""`consul-lock cron forget`: delete the record of a job that is not run any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from consul_lock_cli.base.console import Console, confirmed, require_terminal
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_NAME
from consul_lock_cli.output import cron_text
from consul_lock_cli.output.cron_json import CRON, cron_item
from consul_lock_cli.output.cron_table import describe
from consul_lock_cli.output.data_command import (
    DataCommand,
    Output,
    data_options,
    no_record,
    nothing,
)
from consul_lock_cli.spec.connection import Connection

if TYPE_CHECKING:
    from consul_lock import Conflict, CronRecord


@click.command("forget", cls=DataCommand)
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_options(*CRON)
@console_options
@connection_options
@click.argument("name", type=CRON_NAME)
def cron_forget(
    connection: Connection, console: Console, output: Output, name: str, yes: bool
) -> int:
    """Delete the record of the cron job NAME, with its history.

    It is for a job that no host has in its crontab any more.  Where a host still has it, any slot
    may run again, the last one included.  It is refused while a run is under way or the lock of
    that name is held.

    Exit codes: 0 done, 1 there is no record of it, or the answer was no, 65 the key holds
    something else, 75 a run is under way.

    Example: consul-lock cron forget jobs/report --yes
    """
    if not yes:
        require_terminal("--yes forgets it without asking")
    from consul_lock import Conflict, CronRecords

    with connection.client(console) as client:
        records = CronRecords(client)
        seen = records.record(name)
        if seen is None:
            return no_record(console, output, name)
        if not yes:
            click.echo(describe(seen, time.time()), err=True)
            if not confirmed("Delete this record"):
                return nothing(console, output, f"{name} is left alone")
        try:
            forgotten = records.forget(name)
        except Conflict as error:
            if error.kind != "in-use":
                raise
            return _refused(console, output, error)
    if forgotten is None:
        return no_record(console, output, name)
    console.note(f"forgot {name}")
    if forgotten.slot:
        console.warn(_again(forgotten))
    output.document([cron_item(forgotten, time.time())], str)
    return 0


def _refused(console: Console, output: Output, error: Conflict) -> int:
    console.error(
        f"{error.problem} ({ExitCode.HELD:d})",
        "wait for its end; of a run that is known to be dead, 'consul-lock cron reset' first",
        code=ExitCode.HELD,
    )
    output.document([], str)
    return ExitCode.HELD


def _again(record: CronRecord) -> str:
    slot = cron_text.slot(record.slot, record.epoch)
    return f"slot {slot} may run again where a host still has {record.name} in its crontab"
