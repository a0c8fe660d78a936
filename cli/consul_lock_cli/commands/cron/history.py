"""`consul-lock cron history`: the last runs of a cron job, on a line of time."""

from __future__ import annotations

import time

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_NAME, WholeNumber
from consul_lock_cli.output.cron_history import history_table
from consul_lock_cli.output.cron_json import CRON_RUN, run_item
from consul_lock_cli.output.data_command import DataCommand, Output, data_options, no_record
from consul_lock_cli.spec.connection import Connection


@click.command("history", cls=DataCommand)
@click.option(
    "-n", "--number", metavar="N", type=WholeNumber(1), help="Only the last N lines [all]."
)
@data_options(*CRON_RUN)
@console_options
@connection_options
@click.argument("name", type=CRON_NAME)
def cron_history(
    connection: Connection, console: Console, output: Output, name: str, number: int | None
) -> int:
    """Show the last runs of the cron job NAME, the latest last.

    MISSED are slots whose time is over and that no host has claimed: no host was up, or
    something prevented it.  With --every each is known; with --schedule the next claim counts
    them, and until then one is shown.
    "overlap" and "paused" are slots that hosts skipped, as the run before was under way or the
    job was paused.  An "extra" run is one of 'cron run-now'.
    'cron run --history' sets how many runs are remembered.

    Exit codes: 0 shown, 1 there is no record of it, 65 the key holds something else.

    Example: consul-lock cron history jobs/report
    """
    import shutil  # every start would pay for it

    from consul_lock import CronRecords, cron_timeline

    with connection.client(console) as client:
        record = CronRecords(client).record(name)
    if record is None:
        return no_record(console, output, name)
    now = time.time()
    lines = cron_timeline(record, now)[-(number or 0) :]
    columns = shutil.get_terminal_size().columns
    output.document(
        [run_item(line) for line in lines],
        lambda: history_table(record, lines, now, columns) if lines else "",
    )
    return 0
