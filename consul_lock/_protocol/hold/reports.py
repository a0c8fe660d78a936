"""What is reported of an acquire, and of what it acquired: the same for every kind of lock.

Each report is made in one place, whatever the kind: where an acquire begins to wait, where the hold
counts, where it was released, and in `ClientBase.lose`.  Nothing of it waits, and nothing depends
on it; what nobody wants to hear is not made.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.hold.hold import Attempt, Held, Hold, OwnerHere
from consul_lock._protocol.hold.waiter import WaiterEntry
from consul_lock._protocol.holder import Holder, parse_holder
from consul_lock._protocol.reporter import DEBUG, INFO, WARNING
from consul_lock.errors import ConsulLockError, LossReason, Refused, Unavailable

# Seconds of waiting, after which the log says so to more than those who debug.
_LONG = 1.0


def report_waiting(lock: Held, attempt: Attempt, patience: ErrorBudget) -> None:
    """An acquire begins of which somebody wants to hear: let the limits of the call report that it
    waits."""
    attempt.heard = True
    patience.on_wait = WaitReport(lock, attempt, patience).waits


class WaitReport:
    """What is reported of the waiting of one acquire."""

    def __init__(self, lock: Held, attempt: Attempt, patience: ErrorBudget) -> None:
        self._lock = lock
        self._attempt = attempt
        self._patience = patience
        self._told_long = False

    def waits(self, now: float, most: float | None) -> float | None:
        """It is about to wait, for ``most`` seconds (None: without end).  Returns how long it waits
        at most before it has more to say."""
        lock, attempt = self._lock, self._attempt
        if not attempt.waiting_told:
            attempt.waiting_told = True
            lock.reporter.report("waiting", DEBUG, about(lock, attempt), lock.listeners)
        if self._told_long or not lock.reporter.logs(INFO):
            return most
        waited = now - self._patience.begun
        if waited < _LONG:
            return _LONG - waited if most is None else min(most, _LONG - waited)
        self._told_long = True
        lock.reporter.record("waiting", INFO, {**about(lock, attempt), "waited": waited})
        return most


def report_retry(
    lock: Held,
    attempt: Attempt,
    error: Unavailable | Refused,
    pause: float,
    failing: float,
    first: bool,
) -> None:
    """A request has failed, and is tried again; one warning is enough for all calls of a client."""
    level = WARNING if first else DEBUG
    if lock.is_heard(level):
        more = {"error": without_frames(error), "pause": pause, "failing": failing}
        lock.reporter.report("retrying", level, {**about(lock, attempt), **more}, lock.listeners)


def report_acquired(hold: Hold) -> None:
    """It is held, and the hold counts."""
    lock, attempt = hold.lock, hold.attempt
    begun = hold.since if attempt.patience is None else attempt.patience.begun
    more = {"waited": max(0.0, hold.since - begun), "handed_over": attempt.handed_over}
    fields = {**about(lock, attempt, hold), **more}
    lock.reporter.report(lock.event_acquired, lock.level, fields, lock.listeners)


def report_gave_up(lock: Held, attempt: Attempt, now: float, why: str) -> None:
    """An acquire has ended without the lock; said once."""
    if attempt.patience is None or attempt.gave_up_told:
        return
    attempt.gave_up_told = True
    if lock.is_heard(DEBUG):
        waited = max(0.0, now - attempt.patience.begun)
        more = {"waited": waited, "why": why, "error": attempt.error}
        lock.reporter.report("gave-up", DEBUG, {**about(lock, attempt), **more}, lock.listeners)


def report_released(hold: Hold, now: float) -> None:
    """It was released, perhaps to the next in the queue."""
    lock = hold.lock
    fields = {**about(lock, hold.attempt, hold), "holder": None, "held": now - hold.since}
    for following in hold.handed_to:
        handed = {**fields, "holder": _next(following)}
        lock.reporter.report("handed-over", DEBUG, handed, lock.listeners)
    lock.reporter.report(lock.event_released, lock.level, fields, lock.listeners)
    hold.release_reported = True


def report_lost(
    hold: Hold,
    reason: LossReason,
    error: ConsulLockError | None,
    now: float,
    level: int = WARNING,
) -> None:
    """It was lost."""
    lock = hold.lock
    if lock.is_heard(level):
        told = without_frames(error)
        more = {"holder": None, "reason": reason, "error": told, "held": now - hold.since}
        fields = {**about(lock, hold.attempt, hold), **more}
        lock.reporter.report("lost", level, fields, lock.listeners)


def without_frames(error: ConsulLockError | None) -> ConsulLockError | None:
    """The same error without its traceback: a listener may keep an event for long, and the frames
    of the call would keep the client."""
    return None if error is None else copy(error)


def about(lock: Held, attempt: Attempt, hold: Hold | None = None) -> dict[str, Any]:
    """What all events of an acquire, and of its hold, have."""
    session = hold.session if hold is not None else next(iter(attempt.sessions), None)
    return {
        "name": lock.name,
        "kind": lock.kind,
        "key": lock.key,
        "session": "" if session is None else session.id,
        "token": None if hold is None else hold.token,
        "holder": attempt.in_the_way(),
        "attempt": attempt.number,
        "meta": attempt.about.meta,
    }


def _next(following: WaiterEntry | OwnerHere) -> Holder:
    if isinstance(following, WaiterEntry):
        return parse_holder(following.session, following.about)
    return following.about.holder(following.session)
