"""Cleaning up after an acquire or a release that ended in an exception.

Whatever was cut off, wherever: afterwards we hold nothing, wait for nothing, and no session is
left that a late answer could give a lock to.  Where it is known how things stand the lock is
let go in order, so that nobody has to sit out a lock-delay; what stays in doubt is destroyed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consul_lock._protocol.attempt import Attempt
from consul_lock._protocol.flow import Flow, Now
from consul_lock._protocol.handover import let_go
from consul_lock._protocol.hold import Grant, Hold
from consul_lock._protocol.queue import give_up, look, tidy
from consul_lock._protocol.release import finish
from consul_lock._protocol.session import Session
from consul_lock._protocol.state import Event, State
from consul_lock._protocol.verdict import Verdict, judge
from consul_lock.errors import ConsulLockError

if TYPE_CHECKING:
    from consul_lock._protocol.lock import LockCore


def undo_acquire(lock: LockCore, attempt: Attempt) -> Flow[None]:
    """As if the attempt had never been made."""
    client, hold = lock.client, attempt.hold
    # Whoever asked has gone on: should it want the lock again, it waits for us, not for itself.
    attempt.owner = attempt
    if hold is not None:
        # It was ours, and the caller was cut off before being told.
        with client.mutex:
            releasing = hold.advance(Event.RELEASE)
            client.holds.pop(hold, None)
        if releasing:
            yield from undo_release(lock, hold)
        return
    sessions = client.pool.borrowed_by(attempt)
    if attempt.session is not None and attempt.session.shared and client.turns.has(attempt):
        # Without the turn it may be another thread's lock that the session holds by now.
        sessions.append(attempt.session)
    for session in sessions:
        yield from _withdraw(lock, attempt, session)
    client.turns.leave(attempt)
    yield from client.clean_up(attempt)


def _withdraw(lock: LockCore, attempt: Attempt, session: Session) -> Flow[None]:
    pool, attempt.session = lock.client.pool, session
    if not (attempt.exposed or attempt.given or session.doubtful):
        now = yield Now()
        pool.give_back(session, now)
        return
    clean = yield from _let_go_of_all(lock, attempt, session)
    if not clean:
        yield from lock.client.end(session)
        yield from _tidy(lock)
    elif session.borrower is attempt:
        now = yield Now()
        pool.give_back(session, now)


def _let_go_of_all(lock: LockCore, attempt: Attempt, session: Session) -> Flow[bool]:
    """Leave the line, and the lock if it is ours.  False: the session must be destroyed."""
    grant = attempt.given
    try:
        if attempt.queued:
            grant = yield from give_up(lock, attempt)
        elif grant is None:
            yield from look(lock, attempt, certain=True)
            pair = attempt.seen.pair if attempt.seen else None
            if pair and judge(attempt.seen, session, certain=True) is Verdict.OURS:
                grant = Grant(session, pair.modify_index, True, None)
        if grant is not None:
            hold = Hold(lock.where, grant, attempt, lock.client.new_signal, None)
            hold.advance(Event.RELEASE)
            yield from let_go(lock.client, hold, patient=False)
    except ConsulLockError:
        return False
    return not session.doubtful


def undo_release(lock: LockCore, hold: Hold | None) -> Flow[None]:
    """Finish a release that was cut off."""
    if hold is None:
        return
    client, session = lock.client, hold.session
    hold.attempt.owner = hold.attempt
    with client.mutex:
        if hold.advance(Event.RELEASE):
            client.holds.pop(hold, None)
    if hold.state is State.RELEASING:
        yield from _let_go_or_destroy(lock, hold)
        with client.mutex:
            hold.advance(Event.CONFIRM)
    elif hold.state is State.LOST and not (session.shared or session.gone):
        yield from client.pool.destroy(session)
    # Also if all was said and done: it may have been cut off in these last steps.
    now = yield Now()
    finish(lock, hold, now)


def _let_go_or_destroy(lock: LockCore, hold: Hold) -> Flow[None]:
    client, session = lock.client, hold.session
    if not client.turns.has(hold.attempt):
        return  # passed on to the next of this process, with the session
    try:
        yield from let_go(client, hold, patient=False)
        clean = not session.doubtful
    except ConsulLockError:
        clean = False
    if not clean:
        yield from client.end(session)
        yield from _tidy(lock)
        client.wake.set()


def _tidy(lock: LockCore) -> Flow[None]:
    try:
        yield from tidy(lock)
    except ConsulLockError:
        return  # a sign that is left over misleads nobody: the next release takes it away
