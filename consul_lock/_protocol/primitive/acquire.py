"""Acquiring a lock: the local queue, then the key in Consul, then the hold counts."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.flow import Flow, Now, Spawn, Wait
from consul_lock._protocol.hold.hold import Attempt, Grant, Hold
from consul_lock._protocol.hold.reports import (
    report_acquired,
    report_gave_up,
    report_retry,
    report_waiting,
)
from consul_lock._protocol.primitive.primitive import Primitive
from consul_lock._protocol.primitive.release import end_all
from consul_lock._protocol.primitive.watch import watch
from consul_lock._protocol.reporter import DEBUG, INFO
from consul_lock.errors import AlreadyHeld, ConsulLockError, Refused, Unavailable

# Seconds after which the keeper reads a queue of which nothing is known: clients that have just
# released have had time to join again, and a job that is shorter is not disturbed.
_LOOK_AFTER = 0.005


def acquire(lock: Primitive, attempt: Attempt, wait: float | None) -> Flow[bool]:
    """Whether the lock was acquired within so many seconds; None: wait for ever."""
    patience = attempt.patience = lock.patience_of(attempt, wait)
    patience.on_retry, patience.subject = report_retry, (lock, attempt)
    if lock.is_heard(INFO):
        report_waiting(lock, attempt, patience)
    return patience.bound(_acquire(lock, attempt, patience))


def _acquire(lock: Primitive, attempt: Attempt, patience: ErrorBudget) -> Flow[bool]:
    if attempt.blocking:
        attempt.deadline = patience.end
    try:
        if not (yield from _turn(lock, attempt)):
            yield from _give_up(lock, attempt)
            return False
        while True:
            if attempt.given is None or attempt.given.session.gone:
                attempt.given = yield from persist(lock.contend, attempt)
            if attempt.given is None:
                yield from _abandon(lock, attempt)
                yield from _give_up(lock, attempt)
                return False
            if (yield from _begin(lock, attempt, attempt.given)):
                return True
            attempt.given = None
    except ConsulLockError as error:
        attempt.error = copy(error)  # without its traceback, which would keep the call's frames
        raise


def _give_up(lock: Primitive, attempt: Attempt) -> Flow[None]:
    """It could not be acquired in time: say so, if anybody wants to know."""
    if lock.is_heard(DEBUG):
        now = yield Now()
        report_gave_up(lock, attempt, now, "timeout")


def _turn(lock: Primitive, attempt: Attempt) -> Flow[bool]:
    """Wait until no attempt of this process is before this one."""
    client, local_queues = lock.client, lock.client.local_queues
    _refuse_closed(client)
    lock.refresh(attempt)
    if local_queues.enter(attempt):
        return True
    if not attempt.blocking:
        yield from _see_that_it_is_held(lock, attempt)
        return False
    not_for_oneself(lock, attempt)
    if lock.is_heard(INFO):
        attempt.held_here = local_queues.owner_before(attempt)
    while not attempt.admitted:
        remaining = None
        if attempt.deadline is not None:
            now = yield Now()
            remaining = attempt.deadline - now
            if remaining <= 0 and local_queues.withdraw(attempt):
                yield from _see_that_it_is_held(lock, attempt)
                return False
        assert attempt.signal is not None
        yield Wait(attempt.signal, remaining)
        if not attempt.admitted:
            _refuse_closed(client)
    now = yield Now()
    assert attempt.patience is not None
    overdue = attempt.patience.overdue(now)
    if overdue is not None:
        raise overdue
    return True


def _refuse_closed(client: ClientCore) -> None:
    if client.closed:
        raise Unavailable("the client is closed", kind="closed", uncertain=False)


def _see_that_it_is_held(lock: Primitive, attempt: Attempt) -> Flow[None]:
    """An earlier attempt of this process may not hold it, but wait for a Consul that does not
    answer, or be cleaning up after that: then it is unknown whether it is held."""
    contact = lock.client.contact
    if contact.trouble is None:
        return
    now = yield Now()
    wanted = {claim.resource for claim in attempt.claims}
    held = [h for h in list(lock.client.holds) if h.counts(now)]
    if not any(claim.resource in wanted for hold in held for claim in hold.attempt.claims):
        raise contact.again()


def _begin(lock: Primitive, attempt: Attempt, grant: Grant) -> Flow[bool]:
    """It is granted: the hold counts from now on.  False if its deadline is over already."""
    client = lock.client
    hold = Hold(lock, grant, attempt)
    hold.since = now = yield Now()
    if grant.contended and grant.queue is None:
        hold.look_at = now + _LOOK_AFTER
    with client.mutex:
        # Code that ends the session from here on finds the hold, and reports its loss.
        counts = hold.counts(now)
        if counts:
            attempt.hold = hold
            lock.owners.add(hold)
            deadline = client.holds.add(hold)
    if not counts:
        # The process was paused for so long that another one may hold it by now.
        yield from end_all(lock, attempt, hold.sessions, tidy=lock.leaves_traces)
        return False
    client.note(lock.key, contended=grant.contended)
    if attempt.heard:
        report_acquired(hold)
    if hold.look_at is not None:
        client.to_look[hold] = None
        if hold.look_at < client.planned:
            client.wake.set()
    yield from client.watchdog.mind(hold, deadline)
    if lock.watched:
        yield Spawn(watch(client, hold), "consul-lock-watch")
    return True


def _abandon(lock: Primitive, attempt: Attempt) -> Flow[None]:
    """It could not be acquired: return what was borrowed for it."""
    # Another thread may be writing with a shared one just now: that is not this call's doubt.
    in_doubt = [s for s in attempt.sessions if s.uncertain or (s.in_doubt and not s.shared)]
    if in_doubt:
        yield from end_all(lock, attempt, in_doubt, tidy=True)
    now = yield Now()
    for session in attempt.sessions:
        lock.client.pool.give_back(session, now)
    # If the caller is cut off from here on, nothing of it belongs to this call any more.
    attempt.forget_sessions()
    lock.client.local_queues.leave(attempt)


def persist(contend: Callable[[Any], Flow[Grant | None]], attempt: Attempt) -> Flow[Grant | None]:
    """Get it from Consul.  None: it could not be acquired in time."""
    patience = attempt.patience
    assert patience is not None
    while True:
        try:
            return (yield from contend(attempt))
        except (Unavailable, Refused) as error:
            failed = error
        yield from patience.ride_out(failed)
        attempt.forget_what_was_seen()


def has_part(lock: Primitive, attempt: Attempt) -> bool:
    """Whether the caller holds some of what it asks for.

    Then the waiters may be waiting for that: behind them it would wait for itself.  So it may
    overtake them.
    """
    wanted = {claim.resource for claim in attempt.claims}
    own = (hold for hold in list(lock.client.holds) if hold.owner == attempt.owner)
    return any(claim.resource in wanted for hold in own for claim in hold.attempt.claims)


def not_for_oneself(lock: Primitive, attempt: Attempt) -> None:
    """Raise `AlreadyHeld` for a caller that is about to wait for what it holds itself.

    Even if all others released, nothing would be free: only another thread or task could end
    the wait, by releasing what this one has acquired.  That is a common use of a semaphore (one
    acquires, its workers release), and possible with any lock.  So the wait is refused only where
    it is most likely a mistake that nothing else would ever show: for a lock, without a timeout.
    """
    if attempt.deadline is not None or lock.handed_on:
        return
    own = [c for h in list(lock.client.holds) if h.owner == attempt.owner for c in h.attempt.claims]
    for claim in attempt.claims:
        weight = sum(c.weight for c in own if c.resource == claim.resource)
        if weight and weight + claim.weight > claim.limit:
            raise AlreadyHeld(
                f"waiting for {lock.name!r} would deadlock: this thread or task holds it already",
                hint="release it first, use blocking=False to try once, or, if another thread or"
                " task is to release it, wait with a timeout",
                kind="deadlock",
                key=lock.key,
            )
