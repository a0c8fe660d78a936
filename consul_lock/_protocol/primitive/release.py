"""Releasing a lock, or finding that it was lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from consul_lock._protocol.flow import Flow, Job, Now
from consul_lock._protocol.hold.cleanup import PendingCleanup
from consul_lock._protocol.hold.hold import Attempt, Hold
from consul_lock._protocol.hold.reports import report_released
from consul_lock._protocol.hold.state import Event, State
from consul_lock._protocol.primitive.primitive import Primitive
from consul_lock._protocol.reporter import INFO
from consul_lock._protocol.session.session import Session
from consul_lock._warnings import warn_caller
from consul_lock.errors import ConsulLockError, LockLost, LossReason, NotHeld


class Release:
    """One call of release: all that its undo has to know."""

    def __init__(
        self, owner: Any, find: Callable[[], Hold | None], *, ends_block: bool = False
    ) -> None:
        self.owner = owner
        self.find = find
        """Which hold it is about; asked once, under the client's mutex."""
        self.ends_block = ends_block
        self.hold: Hold | None = None
        self.answered = False
        """There was nothing to release, and nothing is to be released later."""
        self.until = 0.0
        """Until when the hold counts (driver's clock)."""

    def tells(self, hold: Hold) -> bool:
        """Whether its owner hears of its loss by this call, and not somebody else."""
        return self.ends_block or hold.owner == self.owner


def release(lock: Primitive, call: Release) -> Flow[None]:
    """Release what the caller holds."""
    lost = claim(lock, call)
    if lost is not None:
        yield from lock.client.cleanups.clear(lost.attempt)
        raise lock.lost_error(lost)
    hold = call.hold
    if hold is None:
        return
    now = yield Now()
    if hold.expired or now >= call.until:
        # The watchdog has not come to it yet.  To release in silence would hide a loss: others may
        # have held it since.
        yield from _lose(lock, call, hold, LossReason.DEADLINE)
        yield from lock.client.cleanups.clear(hold.attempt)
        raise lock.lost_error(hold)
    reason = yield from lock.let_go(hold)
    if reason is not None:
        yield from _lose(lock, call, hold, reason)
        yield from end_lost(lock, hold)
        raise lock.lost_error(hold)
    with lock.client.mutex:
        released = hold.advance(Event.CONFIRM)
        hold.told = True
    if released and lock.is_heard(INFO):
        ended = yield Now()
        report_released(hold, ended)
    if hold.session.shared and hold.session.uncertain:
        yield from end_all(lock, hold.attempt, [hold.session], tidy=True)
    # Its session counts as unused since the release began, so it may be destroyed a little sooner.
    finish(lock, hold, now)


def claim(lock: Primitive, call: Release) -> Hold | None:
    """Find the hold that is to be released.  Returns it if it was lost."""
    with lock.client.mutex:
        hold = call.find()
        if hold is None or hold.over:
            call.answered = True
            raise NotHeld(
                f"{lock.name!r} is not held, so it cannot be released",
                kind="not-held",
                key=lock.key,
            )
        if hold.reason is LossReason.FORKED:
            call.answered = True
            warn_caller(
                f"{lock.name!r} is held by the parent of this process; releasing it here does"
                " nothing",
                RuntimeWarning,
            )
            return None
        if hold.state is State.LOST:
            call.answered = True
            hold.told = call.tells(hold)
            return hold
        # From here on this call has to undo it: not before, as another thread may be doing so.
        call.hold = hold
        # Before its state changes: a release has more time than a hold that is not confirmed.
        call.until = hold.deadline()
        hold.advance(Event.RELEASE)
        lock.client.holds.drop(hold)
    return None


def _lose(lock: Primitive, call: Release, hold: Hold, reason: LossReason) -> Flow[None]:
    """The release has found that it was lost."""
    hold.told = call.tells(hold)
    yield from lock.client.lose(hold, reason, Event.TOO_LATE)


def end_lost(lock: Primitive, hold: Hold) -> Flow[None]:
    """It was lost, as its release found: end its sessions, unless other locks share them."""
    ended = [s for s in hold.sessions if lock.ends_session or not s.shared]
    yield from end_all(lock, hold.attempt, ended, tidy=lock.leaves_traces)


def end_all(
    lock: Primitive, attempt: Attempt, sessions: Sequence[Session], *, tidy: bool
) -> Flow[None]:
    """End sessions, and (``tidy``) take away what they leave, as soon as Consul can be reached."""
    cleanups = lock.client.cleanups
    if tidy:
        # Before anything can cut this call off.  The keeper is not woken: this call does the work.
        cleanups.leave(attempt, PendingCleanup(0.0, lock, sessions), wake=False)
    for session in sessions:
        session.farewell = lock.farewell(session)
        yield from lock.client.end(session)
    if tidy:
        yield from cleanups.clear(attempt)


def finish(lock: Primitive, hold: Hold, now: float) -> None:
    """The server said yes: session and turn go to the next attempt that wants them."""
    borrowed = [s for s in hold.sessions if s.borrower is hold.attempt]
    in_doubt = [s for s in borrowed if s.in_doubt and not s.gone]
    if in_doubt:
        # A late write of theirs may still acquire what was released: the keeper sees to that.
        for session in in_doubt:
            session.farewell = lock.farewell(session)
        lock.client.cleanups.leave(hold.attempt, PendingCleanup(0.0, lock, in_doubt))
    for session in hold.sessions:
        if session.borrower is hold.attempt:
            lock.client.pool.give_back(session, now)
            if session.gone:
                lock.client.wake.set()
    lock.client.local_queues.leave(hold.attempt)
    lock.client.note(lock.key, contended=hold.contended)


def suppress_lock_errors(job: Job[None], error: BaseException | None = None) -> Flow[None]:
    """Run a job and suppress its lock errors, so that the body's own exception is raised; a loss
    becomes a note of that."""
    failed: ConsulLockError | None = None
    try:
        yield from job.flow
    except ConsulLockError as failure:
        failed = failure
    if failed is None:
        return
    if error is not None and isinstance(failed, LockLost) and not _says(error, failed):
        error.add_note(str(failed))
    if job.undo is not None:
        yield from job.undo()


def _says(error: BaseException, lost: LockLost) -> bool:
    """Whether an exception reports that very loss itself."""
    return isinstance(error, LockLost) and (error.key, error.session) == (lost.key, lost.session)
