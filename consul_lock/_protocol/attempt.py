"""One try to get a lock, and the waiting room inside the process.

Threads or tasks of one client that want the same key queue here; only the first of them, the
occupant, contends in Consul.  So 200 threads cost Consul one waiter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from consul_lock._protocol.flow import Signal

if TYPE_CHECKING:
    from consul_lock._protocol.hold import Grant, Hold
    from consul_lock._protocol.holder import About
    from consul_lock._protocol.line import Entry
    from consul_lock._protocol.records import Found, Terms
    from consul_lock._protocol.session import Session


class Attempt:
    """What one call of acquire has done so far: all that its undo has to know."""

    def __init__(
        self, key: str, about: About, bond: tuple[Terms, Any], owner: Any, blocking: bool
    ) -> None:
        self.key = key
        self.about = about
        self.bond = bond
        """The terms of the session, and the session shared on purpose, if any: two attempts of
        the same bond can pass a session on."""
        self.owner = owner
        """The thread or task that asks."""
        self.blocking = blocking
        self.deadline: float | None = None
        """Until when to wait (driver's clock); None: for ever."""
        self.signal: Signal | None = None
        """Set when it becomes this attempt's turn; made only if it has to wait."""
        self.given: Grant | None = None
        """The lock, passed on by the one before us in this process."""
        self.session: Session | None = None
        self.exposed = False
        """We have asked for the lock with this session: it may be ours, or become ours."""
        self.joined = False
        """We have asked to enter Consul's line with this session, whatever came of it."""
        self.queued = False
        """Our entry is in the waiting line of Consul, as far as we know."""
        self.first = False
        """Nobody is before us in that line."""
        self.ahead: Entry | None = None
        """Who is directly before us; None and not ``first``: not known."""
        self.seen: Found | None = None
        """The last read of the lock's key; None: not looked yet, or too long ago."""
        self.certain = False
        """That read cannot have been an old picture."""
        self.refused = False
        """Consul has refused us the lock at least once."""
        self.hold: Hold | None = None
        """What came of it."""
        self.trouble: tuple[float, int] | None = None
        """Since when, and how many times in a row, Consul has failed us."""

    def forget_place(self) -> None:
        """What we knew of our place in Consul's line is not true any more."""
        self.first, self.ahead, self.seen = False, None, None


class Turns:
    """For each key: who of this process contends for it or holds it, and who waits behind."""

    def __init__(
        self, mutex: AbstractContextManager[Any], new_signal: Callable[[], Signal]
    ) -> None:
        self._mutex = mutex
        self._new_signal = new_signal
        self._occupants: dict[str, Attempt] = {}
        self._waiting: dict[str, deque[Attempt]] = {}

    def enter(self, attempt: Attempt) -> Attempt | None:
        """Take the turn, or queue for it.  Returns who has it instead, None if we have."""
        with self._mutex:
            occupant = self._occupants.setdefault(attempt.key, attempt)
            if occupant is attempt:
                return None
            if attempt.blocking and occupant.owner != attempt.owner:
                attempt.signal = self._new_signal()
                self._waiting.setdefault(attempt.key, deque()).append(attempt)
            return occupant

    def has(self, attempt: Attempt) -> bool:
        """Whether it is this attempt's turn."""
        return self._occupants.get(attempt.key) is attempt

    def leave(self, attempt: Attempt) -> None:
        """Give up the turn, or the place behind; the next one gets the turn.  Can be repeated."""
        with self._mutex:
            waiting = self._waiting.get(attempt.key)
            if self._occupants.get(attempt.key) is attempt:
                self._pass_turn(attempt.key, waiting)
            elif waiting and attempt in waiting:
                waiting.remove(attempt)
                if not waiting:
                    del self._waiting[attempt.key]

    def withdraw(self, attempt: Attempt) -> bool:
        """Leave the place behind.  False: it has just become our turn, perhaps with the lock."""
        with self._mutex:
            if self._occupants.get(attempt.key) is attempt:
                return False
            self.leave(attempt)
            return True

    def heir(self, attempt: Attempt) -> Attempt | None:
        """Who waits next behind the occupant and could take over its session."""
        with self._mutex:
            waiting = self._waiting.get(attempt.key)
            if waiting and waiting[0].bond == attempt.bond:
                return waiting[0]
            return None

    def give(self, attempt: Attempt, heir: Attempt, grant: Grant) -> bool:
        """Pass turn and lock on.  False if the heir has left in the meantime."""
        with self._mutex:
            waiting = self._waiting.get(attempt.key)
            if not waiting or waiting[0] is not heir:
                return False
            heir.given = grant
            heir.session = grant.session
            if not grant.session.shared:
                grant.session.borrower = heir
            self._pass_turn(attempt.key, waiting)
            return True

    def _pass_turn(self, key: str, waiting: deque[Attempt] | None) -> None:
        if not waiting:
            del self._occupants[key]
            return
        heir = waiting.popleft()
        if not waiting:
            del self._waiting[key]
        self._occupants[key] = heir
        if heir.signal is not None:
            heir.signal.set()
