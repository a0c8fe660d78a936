"""Cleaning up after an acquire or a release that ended in an exception.

Whatever was cut off, wherever: afterwards the caller holds nothing, waits for nothing, and no
session is left that a late answer could give a lock to.  Where it is known how things stand the
lock is let go in order, so that nobody has to sit out a lock-delay; what stays in doubt is
destroyed.
"""

from __future__ import annotations

from contextlib import suppress

from consul_lock._protocol.flow import Flow, Now
from consul_lock._protocol.hold.hold import Attempt, Hold
from consul_lock._protocol.hold.reports import report_gave_up, report_released
from consul_lock._protocol.hold.state import Event, State
from consul_lock._protocol.primitive.primitive import Primitive
from consul_lock._protocol.primitive.release import Release, claim, end_all, end_lost, finish
from consul_lock._protocol.reporter import DEBUG, INFO
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConsulLockError, LossReason, NotHeld


def undo_acquire(lock: Primitive, attempt: Attempt) -> Flow[None]:
    """As if the attempt had never been made."""
    client, hold = lock.client, attempt.hold
    if hold is not None:
        # It was acquired, and the caller was cut off before the result reached it.
        lock.owners.never_entered(hold)
        with client.mutex:
            releasing = hold.advance(Event.RELEASE)
        if releasing:
            yield from undo_release(lock, hold)
        return
    if lock.is_heard(DEBUG):
        now = yield Now()
        report_gave_up(lock, attempt, now, "error" if attempt.error else "cut-off")
    sessions = client.pool.borrowed_by(attempt)
    if attempt.session is not None and attempt.session.shared and attempt.admitted:
        # Without the turn it may be another thread's lock that the session holds by now.
        sessions.append(attempt.session)
    yield from _withdraw(lock, attempt, sessions)
    client.local_queues.leave(attempt)
    yield from client.clean_up(attempt)
    yield from client.cleanups.clear(attempt)


def _withdraw(lock: Primitive, attempt: Attempt, sessions: list[Session]) -> Flow[None]:
    client, in_doubt = lock.client, list[Session]()
    if attempt.may_hold or attempt.given or any(session.in_doubt for session in sessions):
        in_doubt = yield from lock.withdraw(attempt, sessions)
    if attempt.may_hold:
        # It was found dead, and the call was cut off before it had taken away what that leaves.
        in_doubt += [each for each in attempt.sessions if each.gone and each not in in_doubt]
    if in_doubt:
        yield from end_all(lock, attempt, in_doubt, tidy=True)
    now = yield Now()
    for session in sessions:
        if session.borrower is attempt and session not in in_doubt:
            client.pool.give_back(session, now)


def finish_release(lock: Primitive, call: Release) -> Flow[None]:
    """Finish a release that was cut off, perhaps before it had found what it is about: a block that
    has ended, or a ``finally``, is not run once more."""
    if call.hold is None and not call.answered:
        with suppress(NotHeld):
            claim(lock, call)
    if call.hold is not None:
        yield from undo_release(lock, call.hold)


def undo_release(lock: Primitive, hold: Hold) -> Flow[None]:
    """Finish the release of a hold."""
    client = lock.client
    with client.mutex:
        hold.advance(Event.RELEASE)
        if hold.reason is not LossReason.REVOKED:
            # Again: it may have been cut off between the two.  What `close` revokes it lets go.
            client.holds.drop(hold)
    if hold.state is State.RELEASING:
        yield from _let_go_or_destroy(lock, hold)
        with client.mutex:
            hold.advance(Event.CONFIRM)
    elif hold.state is State.LOST:
        hold.lost.set()
        yield from end_lost(lock, hold)
    # Also if all was said and done: it may have been cut off in these last steps.
    now = yield Now()
    if hold.state is State.RELEASED and not hold.release_reported and lock.is_heard(INFO):
        report_released(hold, now)
    finish(lock, hold, now)
    yield from client.cleanups.clear(hold.attempt)


def _let_go_or_destroy(lock: Primitive, hold: Hold) -> Flow[None]:
    client = lock.client
    if not hold.attempt.admitted:
        return  # passed on to the next of this process, with the session
    try:
        reason = yield from lock.let_go(hold, patient=False)
        done = not any(session.in_doubt for session in hold.sessions)
    except ConsulLockError:
        reason, done = None, False
    if reason is not None:
        hold.told = True  # its owner gets another exception, which shows that it was cut off
        yield from client.lose(hold, reason, Event.TOO_LATE)
        yield from end_lost(lock, hold)
    elif not done:
        yield from end_all(lock, hold.attempt, hold.sessions, tidy=True)
        client.wake.set()
