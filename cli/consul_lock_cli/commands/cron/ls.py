"""`consul-lock cron ls`: the cron jobs below a prefix, and what became of them."""

from __future__ import annotations

import time

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_PREFIX
from consul_lock_cli.output.cron_json import CRON, cron_item
from consul_lock_cli.output.cron_table import cron_table
from consul_lock_cli.output.data_command import DataCommand, Output, data_options, nothing_seen
from consul_lock_cli.spec.connection import Connection


@click.command("ls", cls=DataCommand)
@data_options(*CRON)
@console_options
@connection_options
@click.argument("prefix", type=CRON_PREFIX, default="")
def cron_ls(connection: Connection, console: Console, output: Output, prefix: str) -> None:
    """List the cron jobs below PREFIX, and how each went last.

    A run whose host has died is shown as lost, whatever its record says.  "unreadable" is a
    value that is no record, or a record of a newer version: 'cron run' refuses it.

    Example: consul-lock cron ls jobs/
    """
    from consul_lock import CronRecords

    with connection.client(console) as client:
        found = CronRecords(client).below(prefix)
    if not found:
        nothing_seen(console, "there are no cron jobs", prefix)
    now = time.time()
    items = [cron_item(record, now) for record in found] if output.wants_items else []
    output.document(items, lambda: cron_table(found, now) if found else "")
