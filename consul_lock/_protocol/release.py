"""Releasing a lock, or finding that it was lost."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from consul_lock._protocol.attempt import Attempt
from consul_lock._protocol.flow import Flow, Job, Now
from consul_lock._protocol.hold import Hold
from consul_lock._protocol.remains import Remainder
from consul_lock._protocol.session import Session
from consul_lock._protocol.state import Event, State
from consul_lock.errors import ConsulLockError, LossReason, NotHeld

if TYPE_CHECKING:
    from consul_lock._protocol.primitive import Primitive


class Release:
    """One call of release: all that its undo has to know."""

    def __init__(self, owner: Any, *, inside: bool = False) -> None:
        self.owner = owner
        self.inside = inside
        """It is the end of the block that the caller entered."""
        self.hold: Hold | None = None


def release(lock: Primitive, call: Release) -> Flow[None]:
    """Let go of what the caller holds."""
    lost = _claim(lock, call)
    if lost is not None:
        yield from lock.client.remains.clear(lost.attempt)
        raise lock.lost_error(lost)
    hold = call.hold
    if hold is None:
        return
    reason = yield from lock.let_go(hold)
    with lock.client.mutex:
        hold.advance(Event.CONFIRM if reason is None else Event.TOO_LATE)
        hold.reason = reason
        hold.told = True
    if reason is not None:
        yield from end_lost(lock, hold)
        lock.client.turns.leave(hold.attempt)
        raise lock.lost_error(hold)
    if hold.session.shared and hold.session.uncertain:
        yield from lock.client.end(hold.session)
    now = yield Now()
    finish(lock, hold, now)


def _claim(lock: Primitive, call: Release) -> Hold | None:
    """Find the hold that is to be released.  Returns it if it was lost."""
    with lock.client.mutex:
        hold = lock.hold_of(call.owner, inside=call.inside)
        if hold is None or hold.over:
            raise NotHeld(f"{lock.name!r} is not held, so it cannot be released", key=lock.key)
        if hold.reason is LossReason.FORKED:
            warnings.warn(
                f"{lock.name!r} is held by the parent of this process; releasing it here does"
                " nothing",
                RuntimeWarning,
                stacklevel=7,  # the caller's line: between are this flow, the driver, the face
            )
            return None
        if hold.state is State.LOST:
            hold.told = True
            return hold
        # From here on it is ours to undo: not before, as another thread may be at it.
        call.hold = hold
        hold.advance(Event.RELEASE)
        lock.client.holds.pop(hold, None)
    return None


def end_lost(lock: Primitive, hold: Hold) -> Flow[None]:
    """It was lost, as its release found: end its sessions, unless other locks share them."""
    ended = [s for s in hold.sessions if lock.ends_session or not s.shared]
    yield from end_all(lock, hold.attempt, ended, tidy=lock.leaves_traces)


def end_all(
    lock: Primitive, attempt: Attempt, sessions: Sequence[Session], *, tidy: bool
) -> Flow[None]:
    """End sessions, and (``tidy``) take away what they leave, as soon as Consul can be reached."""
    remains = lock.client.remains
    if tidy:
        # Before anything can cut us off.  The keeper is not woken: we are at it.
        remains.leave(attempt, Remainder(0.0, lock, sessions), wake=False)
    for session in sessions:
        yield from lock.client.end(session)
    if tidy:
        yield from remains.clear(attempt)


def finish(lock: Primitive, hold: Hold, now: float) -> None:
    """The server said yes: session and turn go to whoever wants them next."""
    for session in hold.sessions:
        if session.borrower is hold.attempt:
            lock.client.pool.give_back(session, now)
            if session.gone:
                lock.client.wake.set()
    lock.client.turns.leave(hold.attempt)
    lock.client.note(lock.key, crowded=hold.crowded)


def quietly(job: Job) -> Flow[None]:
    """Run a job whose errors would hide a better exception."""
    try:
        yield from job.flow
    except ConsulLockError:
        failed = True
    else:
        failed = False
    if failed and job.undo is not None:
        yield from job.undo()
