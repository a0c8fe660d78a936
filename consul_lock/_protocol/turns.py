"""The waiting room inside the process.

Threads or tasks of one client that want the same thing queue here, and only as many of them as
could have it contend in Consul: 200 threads that want one lock cost Consul one waiter.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import chain
from typing import TYPE_CHECKING, Any

from consul_lock._protocol.claim import Claim, fits

if TYPE_CHECKING:
    from consul_lock._protocol.attempt import Attempt
    from consul_lock._protocol.flow import Signal
    from consul_lock._protocol.hold import Grant


class Room:
    """Who of this process has a resource, or contends for it, and who waits behind."""

    def __init__(self) -> None:
        self.occupants: list[Attempt] = []
        self.waiting: list[Attempt] = []

    def before(self, attempt: Attempt) -> list[Attempt]:
        """Everybody who is before an attempt, which is waiting or has just come."""
        if not self.waiting:
            return self.occupants
        there = self.waiting
        behind = there.index(attempt) if attempt in there else len(there)
        return self.occupants + there[:behind]

    def admits(self, attempt: Attempt, claim: Claim) -> bool:
        """Whether there is room for an attempt that claims so much."""
        before = self.before(attempt)
        if not before:
            return True
        if any(each.owner is attempt.owner for each in self.occupants):
            # Those who wait may be waiting for it: behind them it would wait for itself.
            before = self.occupants
        theirs = chain.from_iterable(each.rooms for each in before)
        weights = (t.weight for t in theirs if t.resource == claim.resource)
        return fits(weights, claim.weight, claim.limit)


class Turns:
    """First come, first served, for each resource."""

    def __init__(
        self, mutex: AbstractContextManager[Any], new_signal: Callable[[], Signal]
    ) -> None:
        self._mutex = mutex
        self._new_signal = new_signal
        self._rooms: dict[str, Room] = {}

    def enter(self, attempt: Attempt) -> bool:
        """Take the turn.  False: others are before us; whoever may wait is in the queue now."""
        with self._mutex:
            if self._admits(attempt):
                self._admit(attempt)
                return True
            if attempt.blocking:
                attempt.signal = self._new_signal()
                for room in attempt.rooms:
                    self._rooms.setdefault(room.resource, Room()).waiting.append(attempt)
            return False

    def leave(self, attempt: Attempt) -> None:
        """Give up the turn, or the place behind; who comes next gets it.  Can be repeated."""
        with self._mutex:
            attempt.admitted = False
            for claim in attempt.rooms:
                room = self._rooms.get(claim.resource)
                if room is None:
                    continue
                if attempt in room.occupants:
                    room.occupants.remove(attempt)
                elif attempt in room.waiting:
                    room.waiting.remove(attempt)
            self.call_in(attempt)

    def call_in(self, attempt: Attempt) -> None:
        """Let in whoever can be let in, now that this one needs less."""
        with self._mutex:
            for claim in attempt.rooms:
                room = self._rooms.get(claim.resource)
                if room is not None:
                    self._fill(room, claim.resource)
                    if not room.occupants and not room.waiting:
                        del self._rooms[claim.resource]

    def withdraw(self, attempt: Attempt) -> bool:
        """Leave the place behind.  False: it has just become our turn, perhaps with the lock."""
        with self._mutex:
            if attempt.admitted:
                return False
            self.leave(attempt)
            return True

    def heir(self, attempt: Attempt) -> Attempt | None:
        """Who waits next behind the only occupant and could take over its session."""
        with self._mutex:
            room = self._rooms.get(attempt.rooms[0].resource)
            if room is not None and room.waiting and room.waiting[0].bond == attempt.bond:
                return room.waiting[0]
            return None

    def give(self, attempt: Attempt, heir: Attempt, grant: Grant) -> bool:
        """Pass turn and lock on.  False if the heir has left in the meantime."""
        with self._mutex:
            room = self._rooms.get(attempt.rooms[0].resource)
            if room is None or not room.waiting or room.waiting[0] is not heir:
                return False
            heir.given = grant
            heir.session = grant.session
            if not grant.session.shared:
                grant.session.borrower = heir
            self.leave(attempt)
            return True

    def _fill(self, room: Room, resource: str) -> None:
        for each in list(room.waiting):
            if self._admits(each):
                self._admit(each)
            elif not all(room.admits(each, c) for c in each.rooms if c.resource == resource):
                return  # nobody behind it can be let in, either

    def _admits(self, attempt: Attempt) -> bool:
        for claim in attempt.rooms:
            room = self._rooms.get(claim.resource)
            if room is not None and not room.admits(attempt, claim):
                return False
        return True

    def _admit(self, attempt: Attempt) -> None:
        attempt.admitted = True
        for claim in attempt.rooms:
            room = self._rooms.get(claim.resource)
            if room is None:
                room = self._rooms[claim.resource] = Room()
            elif attempt in room.waiting:
                room.waiting.remove(attempt)
            room.occupants.append(attempt)
        if attempt.signal is not None:
            attempt.signal.set()
