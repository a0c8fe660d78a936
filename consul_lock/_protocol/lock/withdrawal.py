"""Withdrawing from a lock: leave its line, and let go of it if it has been given to us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.attempt import LockAttempt
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.hold.state import Event
from consul_lock._protocol.lock.queue import is_ours, leave, look
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConsulLockError

if TYPE_CHECKING:
    from consul_lock._protocol.lock.base import LockCore


def withdraw(
    lock: LockCore, attempt: LockAttempt, sessions: Sequence[Session]
) -> Flow[list[Session]]:
    """Returns the sessions that stay in doubt, and must be ended."""
    doubtful = []
    for session in sessions:
        attempt.session = session
        if not (yield from _let_go_of_all(lock, attempt, session)):
            doubtful.append(session)
    return doubtful


def _let_go_of_all(lock: LockCore, attempt: LockAttempt, session: Session) -> Flow[bool]:
    """Leave the line, and the lock if it is ours.  False: the session must be destroyed."""
    grant = attempt.given
    try:
        if attempt.queued:
            yield from leave(lock, attempt)
        elif grant is None:
            yield from look(lock, attempt, certain=True)
        if grant is None and is_ours(attempt):
            # Nobody works under it, so it need not be confirmed.
            grant = Grant(session, 0, True, None)
        if grant is not None:
            hold = Hold(lock, grant, attempt)
            hold.advance(Event.RELEASE)
            yield from lock.let_go(hold, patient=False)
    except ConsulLockError:
        return False
    return not session.doubtful
