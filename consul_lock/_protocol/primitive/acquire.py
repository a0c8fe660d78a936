"""Acquiring a lock: the turn inside the process, then the key in Consul, then it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import Patience
from consul_lock._protocol.flow import Flow, Now, Spawn, Wait
from consul_lock._protocol.hold.attempt import Attempt
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.primitive.persist import not_for_oneself, persist
from consul_lock._protocol.primitive.release import end_all
from consul_lock._protocol.primitive.watch import watch
from consul_lock.errors import Unavailable

if TYPE_CHECKING:
    from consul_lock._protocol.primitive.primitive import Primitive

# Seconds after which the keeper reads a line that we were told nothing of: those who have just
# let go have had time to line up again, and a job that is shorter is not disturbed.
_LOOK_AFTER = 0.005


def acquire(lock: Primitive, attempt: Attempt, wait: float | None) -> Flow[bool]:
    """Whether the lock was had within so many seconds; None: wait for ever."""
    patience = attempt.patience = lock.patience_of(attempt, wait)
    return patience.bound(_acquire(lock, attempt, patience))


def _acquire(lock: Primitive, attempt: Attempt, patience: Patience) -> Flow[bool]:
    if attempt.blocking:
        attempt.deadline = patience.end
    if not (yield from _turn(lock, attempt)):
        return False
    while True:
        if attempt.given is None or attempt.given.session.gone:
            attempt.given = yield from persist(lock.contend, attempt)
        if attempt.given is None:
            yield from _abandon(lock, attempt)
            return False
        if (yield from _begin(lock, attempt, attempt.given)):
            return True
        attempt.given = None


def _turn(lock: Primitive, attempt: Attempt) -> Flow[bool]:
    """Wait until nobody of this process is before us."""
    client, turns = lock.client, lock.client.turns
    _refuse_closed(client)
    lock.refresh(attempt)
    if turns.enter(attempt):
        return True
    if not attempt.blocking:
        yield from _see_that_it_is_held(lock, attempt)
        return False
    not_for_oneself(lock, attempt)
    while not attempt.admitted:
        remaining = None
        if attempt.deadline is not None:
            now = yield Now()
            remaining = attempt.deadline - now
            if remaining <= 0 and turns.withdraw(attempt):
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
    """Whoever of this process is before us may not have it, but wait for a Consul that does not
    answer, or be cleaning up after that: then nobody can say that it is held."""
    contact = lock.client.contact
    if contact.trouble is None:
        return
    now = yield Now()
    wanted = {claim.resource for claim in attempt.claims}
    held = [h for h in list(lock.client.holds) if h.counts(now)]
    if not any(claim.resource in wanted for hold in held for claim in hold.attempt.claims):
        raise contact.again()


def _begin(lock: Primitive, attempt: Attempt, grant: Grant) -> Flow[bool]:
    """It is granted: from now on it counts.  False if its time is over already."""
    client = lock.client
    hold = Hold(lock, grant, attempt)
    now = yield Now()
    if grant.crowded and grant.line is None:
        hold.look_at = now + _LOOK_AFTER
    with client.mutex:
        # Whoever ends the session from here on finds the hold, and tells its loss.
        counts = hold.counts(now)
        if counts:
            attempt.hold = hold
            lock.owners.add(hold)
            deadline = client.holds.add(hold)
    if not counts:
        # We were paused for so long that somebody else may hold it by now.
        yield from end_all(lock, attempt, hold.sessions, tidy=lock.leaves_traces)
        return False
    client.note(lock.key, crowded=grant.crowded)
    if hold.look_at is not None:
        client.to_look[hold] = None
        if hold.look_at < client.planned:
            client.wake.set()
    yield from client.watchdog.mind(hold, deadline)
    if lock.watched:
        yield Spawn(watch(client, hold), "consul-lock-watch")
    return True


def _abandon(lock: Primitive, attempt: Attempt) -> Flow[None]:
    """It was not to be had: give back what was borrowed for it."""
    for session in list(attempt.sessions):
        # Of a shared one, another thread may be writing just now: that is no doubt of ours.
        if session.uncertain or (session.doubtful and not session.shared):
            yield from lock.client.end(session)
    now = yield Now()
    for session in attempt.sessions:
        lock.client.pool.give_back(session, now)
    # Nothing of it is ours any more, should the caller be cut off from here on.
    attempt.forget_sessions()
    lock.client.turns.leave(attempt)
