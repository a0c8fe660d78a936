"""Hosts that count the slots of one job in different ways."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from consul_lock_cli.base.durations import exact_duration
from consul_lock_cli.base.text import shown
from consul_lock_cli.spec.cron import CronSpec

if TYPE_CHECKING:
    from consul_lock import CronRecord, CronRun, Lock


def disagreement(cron_spec: CronSpec, run: CronRun[Lock]) -> str:
    """A warning if the host that claimed last has other slots than this one; empty: it has not.

    What this host itself has written says only that its crontab was changed.
    """
    before = run.before
    if before is None or not before.claim or before.epoch is None or cron_spec.slot is not None:
        return ""
    if before.host in ("", os.uname().nodename):
        return ""
    here, there = _of_spec(cron_spec), _of_record(before)
    differing = [option for option in here if here[option] != there[option]]
    if cron_spec.schedule is not None and before.schedule and "--every" not in differing:
        # With its zone, which has a default.
        schedule = before.schedule.rpartition(" ")[0]
        differing = [] if schedule == " ".join(cron_spec.schedule.split()) else ["--schedule"]
    if not differing:
        return ""
    option = differing[0]
    return (
        f"hosts disagree on {option} of {shown(run.name, 512)}: {here[option]} here,"
        f" {there[option]} on {shown(before.host, 100)}: slots may run twice, or not at all, until"
        " it is the same on every host"
    )


def _of_spec(spec: CronSpec) -> dict[str, str]:
    return _options(spec.every, spec.offset or 0.0, spec.schedule or "")


def _of_record(record: CronRecord) -> dict[str, str]:
    return _options(record.every, record.offset, record.schedule)


def _options(every: float | None, offset: float, schedule: str) -> dict[str, str]:
    return {
        "--every": exact_duration(every) if every else "none",
        "--offset": exact_duration(offset) if offset else "0",
        "--schedule": shown(schedule, 60) or "none",
    }
