"""`consul-lock cron pause`: let no host run a job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from consul_lock.limits import CRON_TEXT_MAX, PAUSE_MAX
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import CRON_PREFIX, POSITIVE
from consul_lock_cli.output import cron_text
from consul_lock_cli.output.cron_json import CRON, cron_item
from consul_lock_cli.output.data_command import DataCommand, Output, data_options, no_record
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.cron import is_prefix, records_of

if TYPE_CHECKING:
    from consul_lock import CronRecord


@click.command("pause", cls=DataCommand)
@click.option("--for", "duration", type=POSITIVE, help="Pause it for DUR [until 'cron resume'].")
@click.option("--reason", metavar="TEXT", default="", help="Reason, shown with the job.")
@click.option("--new", is_flag=True, help="Also pause a job that was never run and has no record.")
@data_options(*CRON)
@console_options
@connection_options
@click.argument("name", type=CRON_PREFIX, metavar="NAME|PREFIX/")
def cron_pause(
    connection: Connection,
    console: Console,
    output: Output,
    name: str,
    duration: float | None,
    reason: str,
    new: bool,
) -> int:
    """Pause the cron job NAME on all hosts; with a / at the end, all jobs below PREFIX/.

    A run that is under way goes on.  Missed slots are not run later.  Pausing a paused job
    replaces the end and the reason.  PREFIX/ pauses the jobs that have a record now: one that is
    run for the first time later is not paused, so name it with --new.

    Exit codes: 0 done, 1 there is no record of it (see --new), 65 the key holds something else.

    Example: consul-lock cron pause jobs/report --for 2h --reason deploy
    """
    if len(reason.encode("utf-8", "replace")) > CRON_TEXT_MAX:
        raise Misuse(f"--reason is longer than {CRON_TEXT_MAX} bytes", "be brief")
    if duration is not None and duration > PAUSE_MAX:
        raise Misuse(
            "--for is longer than 366d", "without --for it stays paused until it is resumed"
        )
    if new and is_prefix(name):
        raise Misuse("--new needs a NAME, and not a PREFIX/", "a job without a record has a name")
    from consul_lock import CronRecords

    paused: list[CronRecord] = []
    with connection.client(console) as client:
        records = CronRecords(client)
        found = [name] if new else records_of(records, name, console)
        if not found:
            code = no_record(console, output, name)
            if not is_prefix(name):
                console.note(f"--new pauses {name} before its first run")
            return code
        for each in found:
            record = records.pause(each, duration, reason=reason)
            paused.append(record)
            if record.paused is not None:
                now = time.time()
                ends = "" if record.paused.until else f"; 'cron resume {each}' ends it"
                console.note(f"paused {each} {cron_text.pause(record.paused, now, 500)}{ends}")
    output.document([cron_item(record, time.time()) for record in paused], str)
    return 0
