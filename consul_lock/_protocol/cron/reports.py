"""What is reported of a slot: taken by another host, skipped, missed, started, ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.cron.decision import CronOutcome, CronPlan
from consul_lock._protocol.cron.record import CronRecord, CronState
from consul_lock._protocol.cron.run import CronRun
from consul_lock._protocol.cron.run_lock import RunLock
from consul_lock._protocol.cron.slot import Rhythm, Slot, slot_at
from consul_lock._protocol.keys import CRON_SUFFIX
from consul_lock._protocol.reporter import DEBUG, WARNING, Listener
from consul_lock.errors import Refused, Unavailable

# Slots that are counted at most, from one record to the next claim.
_MISSED_MAX = 1000


class Claiming(Protocol):
    """A claim of a slot."""

    client: ClientCore
    name: str
    plan: CronPlan
    lock: RunLock | None
    slot: Slot
    listeners: tuple[Listener, ...]


class Ended(Protocol):
    """How a run has ended."""

    @property
    def state(self) -> CronState: ...
    @property
    def exit(self) -> int | None: ...
    @property
    def runtime(self) -> float: ...


def report_claim(claim: Claiming, run: CronRun[Any]) -> None:
    """What came of a claim."""
    if not _is_heard(claim):
        return
    if run:
        before = missed(run.before, claim.slot, claim.plan.rhythm)
        if before is not None:
            first, slots = before
            _report(claim, "missed", slot=first.label, epoch=first.epoch, slots=slots)
        _report(claim, "started", run=run.attempt)
    elif run.outcome is CronOutcome.TAKEN:
        _report(claim, "taken", host=run.record.host if run.record else "")
    else:
        _report(claim, "skipped", why=run.outcome.value, first=run.first)


def report_retry_of_claim(
    claim: Claiming, error: Unavailable | Refused, pause: float, failing: float, first: bool
) -> None:
    """A request for the claim has failed, and is tried again."""
    level = WARNING if first else DEBUG
    if _is_heard(claim, level):
        more = {"error": error, "pause": pause, "failing": failing}
        reporter = claim.client.reporter
        reporter.report("retrying", level, {**_about(claim), **more}, claim.listeners)


def report_end(claim: Claiming, run: CronRun[Any], end: Ended) -> None:
    """The run has ended."""
    if _is_heard(claim):
        _report(
            claim,
            "ended",
            run=run.attempt,
            state=end.state.value,
            exit=end.exit,
            runtime=end.runtime,
            recorded=run.recorded,
        )


def missed(before: CronRecord | None, slot: Slot, rhythm: Rhythm) -> tuple[Slot, int] | None:
    """The first slot that nobody has claimed between the record before and this slot, and how many
    there were; None: there was none, or it cannot be known.

    What hosts came to and skipped was not missed; nor what began while the run before was still
    under way, nor anything after an operator has changed the record.
    """
    if before is None or before.epoch is None or slot.epoch is None or before.claimed_at is None:
        return None
    if before.changed is not None and before.changed.at >= before.claimed_at:
        return None
    counted = (rhythm.every, rhythm.offset, rhythm.schedule)
    if (before.every, before.offset, before.schedule) != counted:
        return None
    passed = {skip.epoch for skip in before.skipped}
    busy = before.claimed_at + (before.runtime or 0.0)
    found = [
        time
        for time in _between(rhythm, before.epoch, slot.epoch)
        if time >= busy and time not in passed
    ]
    return (slot_at(found[0]), len(found)) if found else None


def _between(rhythm: Rhythm, earlier: float, later: float) -> Iterator[float]:
    """The times of the slots between two, the first ones if there are a great many."""
    for _ in range(_MISSED_MAX):
        following = rhythm.following(earlier)
        if following is None or following >= later:
            return
        yield following
        earlier = following


def _is_heard(claim: Claiming, level: int = DEBUG) -> bool:
    reporter = claim.client.reporter
    return reporter.listens or bool(claim.listeners) or reporter.logs(level)


def _report(claim: Claiming, event: str, **more: Any) -> None:
    slot = {"slot": claim.slot.label, "epoch": claim.slot.epoch}
    fields = {**_about(claim), **slot, **more}
    claim.client.reporter.report(event, DEBUG, fields, claim.listeners)


def _about(claim: Claiming) -> dict[str, Any]:
    """What all events of a claim have."""
    hold = claim.lock.hold if claim.lock is not None else None
    return {
        "name": claim.name,
        "kind": "cron",
        "key": f"{claim.name}{CRON_SUFFIX}",
        "session": "" if hold is None else hold.session.id,
        "token": None if hold is None else hold.token,
        "attempt": 0 if hold is None else hold.attempt.number,
    }
