"""`consul-lock cron resume`: end a pause."""

from __future__ import annotations

import time

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_NAME
from consul_lock_cli.output.cron_json import CRON, cron_item
from consul_lock_cli.output.data_command import (
    DataCommand,
    Output,
    data_options,
    no_record,
    nothing,
)
from consul_lock_cli.spec.connection import Connection


@click.command("resume", cls=DataCommand)
@data_options(*CRON)
@console_options
@connection_options
@click.argument("name", type=CRON_NAME)
def cron_resume(connection: Connection, console: Console, output: Output, name: str) -> int:
    """Let the cron job NAME be run again, after 'cron pause'.

    The slots that were missed meanwhile are not run later.

    Exit codes: 0 done, 1 it is not paused, or there is no record of it, 65 the key holds
    something else.

    Example: consul-lock cron resume jobs/report
    """
    from consul_lock import CronRecords

    with connection.client(console) as client:
        records = CronRecords(client)
        record = records.record(name)
        if record is None:
            return no_record(console, output, name)
        if not record.is_paused(time.time()) or not records.resume(name):
            return nothing(console, output, f"nothing to resume: {name} is not paused")
        record = records.record(name) or record
    console.note(f"resumed {name}")
    output.document([cron_item(record, time.time())], str)
    return 0
