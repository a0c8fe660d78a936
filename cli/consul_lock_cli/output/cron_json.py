"""What --json prints of cron jobs: the documented fields of docs/json.md, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from consul_lock_cli.output.lock_json import STATUS, moment

if TYPE_CHECKING:
    from consul_lock import CronChange, CronGap, CronPast, CronPause, CronProblem, CronRecord

CRON = (
    "name", "key", "state", "slot", "slot_epoch", "every", "offset", "schedule", "attempt", "host",
    "pid", "exit", "runtime", "claimed_at", "claimed_at_epoch", "started_at", "started_at_epoch",
    "finished_at", "finished_at_epoch", "claim", "session", "token", "overlaps", "overlapped",
    "paused", "changed", "index", "problem", "next_slot", "next_slot_epoch", "overdue", "missed",
    "failures", "last_success", "last_success_epoch", "running_since", "running_since_epoch",
    "disagree",
)  # fmt: skip
"""Fields of a cron job."""

PAUSE = ("by", "at", "at_epoch", "until", "until_epoch", "reason")
"""Fields of ``paused``."""

CHANGE = ("what", "by", "at", "at_epoch")
"""Fields of ``changed``."""

DISAGREE = ("host", "every", "offset", "schedule", "claimed_at", "claimed_at_epoch")
"""Fields of each of ``disagree``."""

CRON_RUN = (
    "slot", "slot_epoch", "state", "slots", "attempt", "host", "exit", "runtime", "claimed_at",
    "claimed_at_epoch", "claim", "forgotten", "extra",
)  # fmt: skip
"""Fields of one run of the history."""

LISTED = (*STATUS, "cron")
"""Fields of what `ls` lists."""


def cron_item(record: CronRecord | CronProblem, now: float) -> dict[str, Any]:
    """A cron job, or what is in the place of its record."""
    from consul_lock import CronProblem, cron_health

    if isinstance(record, CronProblem):
        told = {"name": record.name, "key": record.key, "problem": record.problem}
        return {**dict.fromkeys(CRON), "state": "unreadable", **told}
    health = cron_health(record, now)
    return {
        "name": record.name,
        "key": record.key,
        "state": record.shown.value,
        "slot": record.slot or None,
        "slot_epoch": record.epoch,
        "every": record.every,
        "offset": record.offset,
        "schedule": record.schedule or None,
        "attempt": record.attempt,
        "host": record.host or None,
        "pid": record.pid or None,
        "exit": record.exit,
        "runtime": record.runtime,
        **_time("claimed_at", record.claimed_at),
        **_time("started_at", record.started_at),
        **_time("finished_at", record.finished_at),
        "claim": record.claim or None,
        "session": record.session or None,
        "token": record.token or None,
        "overlaps": record.overlaps,
        "overlapped": record.overlapped or None,
        "paused": _pause(record.paused) if record.paused and record.is_paused(now) else None,
        "changed": _change(record.changed),
        "index": record.index or None,
        "problem": None,
        "next_slot": (moment(health.next_slot or 0.0) or "").replace(".000Z", "Z") or None,
        "next_slot_epoch": health.next_slot,
        "overdue": None if health.overdue is None else round(health.overdue, 3),
        "missed": health.missed,
        "failures": health.failures,
        **_time("last_success", health.last_success),
        **_time("running_since", health.running_since),
        "disagree": [_schedule(run) for run in health.disagreeing],
    }


def listed_item(record: CronRecord | CronProblem, now: float) -> dict[str, Any]:
    """The same among all that `ls` lists."""
    item = cron_item(record, now)
    same = {name: item[name] for name in ("name", "key", "state", "index", "problem")}
    none: dict[str, Sequence[Any]] = {"holders": [], "waiters": []}
    return {**dict.fromkeys(STATUS), **same, **none, "kind": "cron", "cron": item}


def run_item(run: CronPast | CronGap) -> dict[str, Any]:
    """A run, or slots that nobody has run."""
    from consul_lock import CronGap

    if isinstance(run, CronGap):
        told = {"slot": run.slot, "slot_epoch": run.epoch, "state": run.why, "slots": run.slots}
        return {**dict.fromkeys(CRON_RUN), **told}
    return {
        "slot": run.slot or None,
        "slot_epoch": run.epoch,
        "state": run.state.value,
        "slots": 0 if run.extra else 1,
        "attempt": run.attempt,
        "host": run.host or None,
        "exit": run.exit,
        "runtime": run.runtime,
        **_time("claimed_at", run.claimed_at),
        "claim": run.claim or None,
        "forgotten": not run.claim,
        "extra": run.extra,
    }


def _time(name: str, epoch: float | None) -> dict[str, Any]:
    at = moment(epoch or 0.0)
    return {name: at, f"{name}_epoch": epoch if at else None}


def _schedule(run: CronPast) -> dict[str, Any]:
    return {
        "host": run.host,
        "every": run.every,
        "offset": run.offset,
        "schedule": run.schedule or None,
        **_time("claimed_at", run.claimed_at),
    }


def _pause(pause: CronPause) -> dict[str, Any]:
    told = {"by": pause.by or None, "reason": pause.reason or None}
    return {**told, **_time("at", pause.at), **_time("until", pause.until)}


def _change(change: CronChange | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {"what": change.what, "by": change.by or None, **_time("at", change.at)}
