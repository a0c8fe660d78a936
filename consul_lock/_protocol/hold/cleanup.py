"""What is left in Consul of holds that were lost, until it is taken away.

A slot in a document does not go with its session, as the key of a lock does.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from consul_lock._protocol.flow import Flow, Now
from consul_lock._protocol.hold.hold import Attempt, Held
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConsulLockError, Unavailable

PAUSE = 2.0
"""Seconds between tries, while Consul cannot be reached or sessions in doubt have not ended yet."""


class PendingCleanup(NamedTuple):
    """What one attempt, or the hold that it became, has left."""

    when: float
    """To take it away at this time (driver's clock)."""
    lock: Held
    sessions: Sequence[Session]


class PendingCleanups:
    """The remainders of one client."""

    def __init__(self, wake: Callable[[], None], to_destroy: Container[str]) -> None:
        self._wake = wake
        self._to_destroy = to_destroy
        """Ids of the sessions of this client that are condemned, and have not ended yet."""
        self._left: dict[Attempt, PendingCleanup] = {}

    def leave(self, attempt: Attempt, remainder: PendingCleanup, *, wake: bool = True) -> None:
        """Note something to take away, beside what is noted already."""
        before = self._left.get(attempt)
        if before is not None:
            more = [each for each in before.sessions if each not in remainder.sessions]
            remainder = remainder._replace(sessions=(*remainder.sessions, *more))
        self._left[attempt] = remainder
        if wake:
            self._wake()

    def due(self, now: float) -> list[Attempt]:
        """What is to be taken away by now."""
        return [attempt for attempt, left in list(self._left.items()) if left.when <= now]

    def times(self) -> list[float]:
        """When there will be something to do."""
        return [left.when for left in list(self._left.values())]

    def clear(self, attempt: Attempt) -> Flow[None]:
        """Nobody works under it any more: nothing is to be left of it."""
        left = self._left.get(attempt)
        if left is None:
            return
        # A late write of theirs can leave something once more.  Looked at first, as they may end
        # while it is taken away.
        again = any(map(self._may_write, left.sessions))
        try:
            yield from left.lock.tidy(attempt, left.sessions)
        except Unavailable:
            again = True
        except ConsulLockError:
            again = False  # a later client prunes it, when the lock-delay is over
        if again:
            now = yield Now()
            self.put_off(attempt, now + PAUSE)
            self._wake()
        elif self._same(attempt, left):
            self._left.pop(attempt, None)

    def _may_write(self, session: Session) -> bool:
        ended = session.gone and session.id not in self._to_destroy
        return session.in_doubt and not ended

    def _same(self, attempt: Attempt, left: PendingCleanup) -> bool:
        now = self._left.get(attempt)
        return now is not None and list(now.sessions) == list(left.sessions)

    def put_off(self, attempt: Attempt, when: float) -> bool:
        """Somebody is about to clear it.  False: that has been done."""
        left = self._left.get(attempt)
        if left is not None:
            self._left[attempt] = left._replace(when=when)
        return left is not None
