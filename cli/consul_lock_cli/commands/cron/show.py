"""`consul-lock cron show`: one cron job."""

from __future__ import annotations

import time

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_NAME
from consul_lock_cli.output.cron_json import CRON, cron_item
from consul_lock_cli.output.cron_table import describe
from consul_lock_cli.output.data_command import DataCommand, Output, data_options, no_record
from consul_lock_cli.spec.connection import Connection


@click.command("show", cls=DataCommand)
@data_options(*CRON)
@console_options
@connection_options
@click.argument("name", type=CRON_NAME)
def cron_show(connection: Connection, console: Console, output: Output, name: str) -> int:
    """Show the cron job NAME: last slot, host, outcome and pauses.

    Times are those of the clocks of the hosts that wrote them.

    Exit codes: 0 shown, 1 there is no record of it, 65 the key holds something else.

    Example: consul-lock cron show jobs/report
    """
    from consul_lock import CronRecords

    with connection.client(console) as client:
        record = CronRecords(client).record(name)
    if record is None:
        return no_record(console, output, name)
    now = time.time()
    output.document([cron_item(record, now)], lambda: describe(record, now))
    return 0
