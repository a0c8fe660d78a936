"""`consul-lock cron pause`: let no host run a job."""

from __future__ import annotations

import time

import click

from consul_lock.limits import CRON_TEXT_MAX, PAUSE_MAX
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_NAME, POSITIVE
from consul_lock_cli.output import cron_text
from consul_lock_cli.output.cron_json import CRON, cron_item
from consul_lock_cli.output.data_command import DataCommand, Output, data_options, no_record
from consul_lock_cli.spec.connection import Connection


@click.command("pause", cls=DataCommand)
@click.option("--for", "duration", type=POSITIVE, help="Pause it for DUR [until 'cron resume'].")
@click.option("--reason", metavar="TEXT", default="", help="Reason, shown with the job.")
@click.option("--new", is_flag=True, help="Also pause a job that was never run and has no record.")
@data_options(*CRON)
@console_options
@connection_options
@click.argument("name", type=CRON_NAME)
def cron_pause(
    connection: Connection,
    console: Console,
    output: Output,
    name: str,
    duration: float | None,
    reason: str,
    new: bool,
) -> int:
    """Pause the cron job NAME on all hosts.

    A run that is under way goes on.  Missed slots are not run later.  Pausing a paused job
    replaces the end and the reason.

    Exit codes: 0 done, 1 there is no record of it (see --new), 65 the key holds something else.

    Example: consul-lock cron pause jobs/report --for 2h --reason deploy
    """
    if len(reason.encode("utf-8", "replace")) > CRON_TEXT_MAX:
        raise Misuse(f"--reason is longer than {CRON_TEXT_MAX} bytes", "be brief")
    if duration is not None and duration > PAUSE_MAX:
        raise Misuse(
            "--for is longer than 366d", "without --for it stays paused until it is resumed"
        )
    from consul_lock import CronRecords

    with connection.client(console) as client:
        records = CronRecords(client)
        if not new and records.record(name) is None:
            return no_record(console, output, name)
        record = records.pause(name, duration, reason=reason)
    now = time.time()
    if record.paused is not None:
        console.note(f"paused {name} {cron_text.pause(record.paused, now, 500)}")
    output.document([cron_item(record, now)], str)
    return 0
