"""`cron run --dry-run`: say what would happen now.  It reads, and claims nothing."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from consul_lock_cli import FIRED_AT
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.text import shown
from consul_lock_cli.output.holder_text import held_by
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.cron import CronSpec, short
from consul_lock_cli.spec.run import RunSpec

if TYPE_CHECKING:
    from consul_lock import CronRecord, Status


def rehearse(
    wanted: RunSpec,
    timetable: CronSpec,
    command: Sequence[str],
    connection: Connection,
    talk: Console,
) -> int:
    """The exit code: 0 if it would run now, else that of what would come instead."""
    what, patience = wanted.what, wanted.patience
    doing = f"would run {shlex.join(command)}"
    with connection.client(talk) as client:
        from consul_lock import CronRecords, Survey, Unavailable

        guard = timetable.guard(client, what, command[0], lambda reason: None)
        label = guard.slot(FIRED_AT)
        epoch = timetable.epoch(label)
        slot = f"slot {short(label, epoch, FIRED_AT)} of {what.title}"
        try:
            record = CronRecords(client).record(what.keys[0])
            status = Survey(client).status(what.keys[0])
        except Unavailable as error:
            if patience.fail_open:
                click.echo(f"{slot}: Consul cannot be reached: {doing}, as every host would")
                return 0
            code = patience.unavailable_code
            talk.error(f"{complaint(error)} ({code})", failure(error).hint, code=code)
            return code
    why = _late(timetable, epoch) or _not_ours(timetable, label, epoch, record)
    if why:
        click.echo(f"{slot}: {why}: would skip it")
        return timetable.skip_code
    if status.held and timetable.overlap != "allow":
        then = "wait" if timetable.overlap == "wait" else "skip it"
        click.echo(f"{slot}: the lock is {_by(status)}: would {then}")
        return timetable.overlap_code
    click.echo(f"{slot}: {doing}")
    return 0


def _late(timetable: CronSpec, epoch: float | None) -> str:
    most = timetable.max_lateness
    late = most is not None and epoch is not None and FIRED_AT - epoch > most
    return "it began too long ago" if late else ""


def _not_ours(
    timetable: CronSpec, label: str, epoch: float | None, record: CronRecord | None
) -> str:
    """Why the record leaves nothing to be run; empty: it does not."""
    if record is None or not record.slot:
        return ""
    if record.is_paused(time.time()):
        return "it is paused"
    if record.slot == label:
        again = {"failed": timetable.retry_failed, "lost": timetable.retry_crashed}
        state = record.shown.value
        more = record.attempt <= again.get(state, 0)
        return "" if more else f"already {state} by {shown(record.host)}"
    if epoch is None:
        run = any(past.slot == label and past.claim for past in record.history)
        return "it was run before" if run else ""
    later = record.epoch is not None and record.epoch > epoch
    return f"slot {shown(record.slot)} has begun already, on {shown(record.host)}" if later else ""


def _by(status: Status) -> str:
    return held_by(status.holders)
