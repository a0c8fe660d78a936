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
    run_spec: RunSpec,
    cron_spec: CronSpec,
    command: Sequence[str],
    connection: Connection,
    console: Console,
) -> int:
    """The exit code: 0 if it would run now, else that of what would come instead."""
    spec, wait_policy = run_spec.lock, run_spec.wait
    doing = f"would run {shlex.join(command)}"
    with connection.client(console) as client:
        from consul_lock import CronRecords, Survey, Unavailable

        guard = cron_spec.guard(client, spec, command[0], lambda reason: None)
        label = guard.slot(FIRED_AT)
        epoch = cron_spec.epoch(label)
        slot = f"slot {short(label, epoch, FIRED_AT)} of {spec.title}"
        try:
            record = CronRecords(client).record(spec.keys[0])
            status = Survey(client).status(spec.keys[0])
        except Unavailable as error:
            if wait_policy.fail_open:
                click.echo(f"{slot}: Consul cannot be reached: {doing}, as every host would")
                return 0
            code = wait_policy.unavailable_code
            console.error(f"{complaint(error)} ({code})", failure(error).hint, code=code)
            return code
    why = _late(cron_spec, epoch) or _not_ours(cron_spec, label, epoch, record)
    if why:
        click.echo(f"{slot}: {why}: would skip it")
        return cron_spec.skip_code
    if status.held and cron_spec.overlap != "allow":
        then = "wait" if cron_spec.overlap == "wait" else "skip it"
        click.echo(f"{slot}: the lock is {_by(status)}: would {then}")
        return cron_spec.overlap_code
    click.echo(f"{slot}: {doing}")
    return 0


def _late(cron_spec: CronSpec, epoch: float | None) -> str:
    most = cron_spec.max_lateness
    late = most is not None and epoch is not None and FIRED_AT - epoch > most
    return "it began too long ago" if late else ""


def _not_ours(
    cron_spec: CronSpec, label: str, epoch: float | None, record: CronRecord | None
) -> str:
    """Why the record leaves nothing to be run; empty: it does not."""
    if record is None or not record.slot:
        return ""
    if record.is_paused(time.time()):
        return "it is paused"
    if record.slot == label:
        again = {"failed": cron_spec.retry_failed, "lost": cron_spec.retry_crashed}
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
