"""Hosts that count the slots of one job in different ways."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from consul_lock_cli.base.durations import exact_duration
from consul_lock_cli.base.text import shown
from consul_lock_cli.spec.cron import CronSpec

if TYPE_CHECKING:
    from consul_lock import CronPast, CronRecord, CronRun, Lock


def disagreement(cron_spec: CronSpec, run: CronRun[Lock]) -> str:
    """A warning if another host has other slots than this one; empty: none has, as far as is known.

    That is the host that has claimed last, or one whose runs differ in the history from those of
    others at the same time.  What this host itself has written says only that its crontab was
    changed.
    """
    before = run.before
    if before is None or cron_spec.slot is not None:
        return ""
    here = _of_spec(cron_spec)
    for host, seen in _others(before):
        there = _options(seen.every, seen.offset, seen.schedule)
        differing = [option for option in here if here[option] != there[option]]
        if differing:
            option = differing[0]
            return (
                f"hosts disagree on {option} of {shown(run.name, 512)}: {here[option]} here,"
                f" {there[option]} on {shown(host, 100)}: slots may run twice, or not at all,"
                " until it is the same on every host"
            )
    return ""


def _others(before: CronRecord) -> Iterator[tuple[str, CronRecord | CronPast]]:
    """What other hosts are known to count by, the latest first."""
    from consul_lock import cron_health

    found: list[CronRecord | CronPast] = []
    if before.claim and before.epoch is not None:
        found.append(before)
    found += cron_health(before, before.claimed_at or 0.0).disagreeing
    for seen in found:
        if seen.host not in ("", os.uname().nodename):
            yield seen.host, seen


def _of_spec(spec: CronSpec) -> dict[str, str]:
    schedule = ""
    if spec.schedule is not None:
        schedule = f"{' '.join(spec.schedule.split())} {spec.timezone or 'UTC'}"
    return _options(spec.every, spec.offset or 0.0, schedule)


def _options(every: float | None, offset: float, schedule: str) -> dict[str, str]:
    expression, _, zone = schedule.rpartition(" ")
    return {
        "--every": exact_duration(every) if every else "none",
        "--offset": exact_duration(offset) if offset else "0",
        "--schedule": shown(expression, 60) or "none",
        "--timezone": shown(zone, 60) or "none",
    }
