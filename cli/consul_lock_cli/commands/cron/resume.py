"""`consul-lock cron resume`: end a pause."""

from __future__ import annotations

import time

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_PREFIX
from consul_lock_cli.output.cron_json import CRON, cron_item
from consul_lock_cli.output.data_command import (
    DataCommand,
    Output,
    data_options,
    no_record,
    nothing,
)
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.cron import is_prefix, records_of


@click.command("resume", cls=DataCommand)
@data_options(*CRON)
@console_options
@connection_options
@click.argument("name", type=CRON_PREFIX, metavar="NAME|PREFIX/")
def cron_resume(connection: Connection, console: Console, output: Output, name: str) -> int:
    """Let the cron job NAME, or all below PREFIX/, be run again, after 'cron pause'.

    The slots that were missed meanwhile are not run later.

    Exit codes: 0 done, 1 it is not paused, or there is no record of it, 65 the key holds
    something else.

    Example: consul-lock cron resume jobs/report
    """
    from consul_lock import CronRecords

    with connection.client(console) as client:
        records = CronRecords(client)
        found = records_of(records, name, console)
        if not found:
            return no_record(console, output, name)
        resumed = [
            record
            for each in found
            if (record := records.record(each)) is not None
            and record.is_paused(time.time())
            and records.resume(each)
        ]
        if not resumed:
            what = "no job there is" if is_prefix(name) else f"{name} is not"
            return nothing(console, output, f"nothing to resume: {what} paused")
        items = [
            cron_item(records.record(record.name) or record, time.time()) for record in resumed
        ]
    for record in resumed:
        console.note(f"resumed {record.name}")
    output.document(items, str)
    return 0
