"""Cron jobs in a few words, for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from consul_lock.limits import OVERDUE_GRACE
from consul_lock_cli.base.durations import exact_duration, show_duration
from consul_lock_cli.base.text import shown

if TYPE_CHECKING:
    from consul_lock import CronHealth, CronPast, CronPause, CronProblem, CronRecord

# Hosts that are named in one line.
_HOSTS_MAX = 4

UNDER_WAY = ("claimed", "running")


def state(record: CronRecord | CronProblem, now: float) -> str:
    """In one word; a pause goes before what became of the last run."""
    from consul_lock import CronProblem

    if isinstance(record, CronProblem):
        return "unreadable"
    word = record.shown.value
    return "paused" if word not in UNDER_WAY and record.is_paused(now) else word


def overdue(health: CronHealth) -> str:
    """ "OVERDUE by 2h05m", if it is so much overdue that a list says so."""
    late = health.overdue or 0.0
    return f"OVERDUE by {show_duration(late)}" if late > OVERDUE_GRACE else ""


def disagreement(runs: Sequence[CronPast]) -> str:
    """The hosts that count slots in different ways: "every 10m on web1, every 15m on web2"."""
    told = [f"{rhythm(run)} on {shown(run.host, 40)}" for run in runs[:_HOSTS_MAX]]
    more = len(runs) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")


def rhythm(record: CronRecord | CronPast | CronProblem) -> str:
    """What its slots are: "every 1h"."""
    from consul_lock import CronProblem

    if isinstance(record, CronProblem):
        return "-"
    if record.schedule:
        return shown(record.schedule, 40)
    if record.every:
        offset = f" + {exact_duration(record.offset)}" if record.offset else ""
        return f"every {exact_duration(record.every)}{offset}"
    return "IDs" if record.slot else "-"


def slot(label: str, epoch: float | None, now: float | None = None) -> str:
    """A slot: "2026-11-21 17:00Z", without the day if that is today's, or an ID."""
    if epoch is None:
        return shown(label, 30) or "-"
    moment = datetime.fromtimestamp(epoch, UTC)
    seconds = f":{moment:%S}" if moment.second else ""
    text = f"{moment:%H:%M}{seconds}Z"
    today = now is not None and datetime.fromtimestamp(now, UTC).date() == moment.date()
    return text if today else f"{moment:%Y-%m-%d} {text}"


def clock(epoch: float, now: float | None = None) -> str:
    """A time of somebody's clock, to the second."""
    try:
        moment = datetime.fromtimestamp(epoch, UTC)
    except (OverflowError, OSError, ValueError):
        return "a time that no calendar has"
    today = now is not None and datetime.fromtimestamp(now, UTC).date() == moment.date()
    return f"{moment:%H:%M:%S}Z" if today else f"{moment:%Y-%m-%d %H:%M:%S}Z"


def ago(epoch: float, now: float) -> str:
    """ "3m12s ago", or "in 3m12s"."""
    text = show_duration(round(abs(now - epoch)))
    return f"{text} ago" if now >= epoch else f"in {text}"


def result(record: CronRecord, now: float) -> str:
    """What became of the last run: "exit 0 in 12s"; of one under way, for how long it runs."""
    if record.shown.value in UNDER_WAY:
        return f"for {_since(record, now)}"
    code = "" if record.exit is None else f"exit {record.exit}"
    took = "" if record.runtime is None else f"in {show_duration(record.runtime)}"
    return " ".join(filter(None, (code, took))) or "-"


def _since(record: CronRecord, now: float) -> str:
    since = record.started_at or record.claimed_at
    return "?" if since is None else show_duration(round(max(0.0, now - since)))


def pause(paused: CronPause, now: float, length: int) -> str:
    """Who paused it, until when, and why."""
    until = "" if paused.until is None else f" until {clock(paused.until, now)}"
    why = f": {shown(paused.reason, length)}" if paused.reason else ""
    return f"by {shown(paused.by, 40)}{until}{why}"


def note(record: CronRecord | CronProblem, now: float, length: int) -> str:
    """What is out of the ordinary."""
    from consul_lock import CronProblem, cron_health

    if isinstance(record, CronProblem):
        return shown(record.why, length)
    health = cron_health(record, now)
    paused = "" if health.paused is None else f"paused {pause(health.paused, now, length)}"
    row = f"{health.failures} failures in a row" if health.failures > 1 else ""
    differ = "hosts disagree" if health.disagreeing else ""
    return "; ".join(filter(None, (paused, overdue(health), row, differ)))
