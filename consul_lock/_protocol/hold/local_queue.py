"""The waiting room inside the process.

Threads or tasks of one client that want the same thing queue here, and only as many of them as
could have it contend in Consul: 200 threads that want one lock cost Consul one waiter.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from consul_lock._protocol.flow import Signal
from consul_lock._protocol.hold.hold import Attempt, Claim, Grant


class Room:
    """Who of this process has a resource, or contends for it, and who waits behind."""

    def __init__(self) -> None:
        self.occupants: list[Attempt] = []
        self.waiting: list[Attempt] = []

    def admits(self, attempt: Attempt, claim: Claim, *, has_part: bool) -> bool:
        """Whether there is room for an attempt that claims so much.

        Those who wait may be waiting for what the same owner holds (``has_part``), and so may
        those who contend in Consul: behind them it would wait for itself.
        """
        left = claim.limit - claim.weight
        if left < 0:
            return True  # Consul will say that it wants more than there is
        for each in self.occupants:
            if each.hold is not None or not has_part:
                left -= _weight(each, claim.resource)
        if left < 0 or has_part:
            return left >= 0
        for each in self.waiting:
            if each is attempt:
                break
            left -= _weight(each, claim.resource)
            if left < 0:
                return False
        return True

    def holds(self, owner: Any) -> bool:
        """Whether a thread or task holds some of it."""
        return any(each.owner == owner and each.hold is not None for each in self.occupants)


def _weight(attempt: Attempt, resource: str) -> int:
    return sum(claim.weight for claim in attempt.rooms if claim.resource == resource)


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
            if self._admits(attempt, self._has_part(attempt)):
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
                    if room.waiting:
                        self._fill(room, claim.resource)
                    if not room.occupants and not room.waiting:
                        del self._rooms[claim.resource]

    def relimit(self, resource: str, limit: int) -> None:
        """There is more or less of something now, for those who are in or wait, too."""
        with self._mutex:
            room = self._rooms.get(resource)
            if room is None:
                return
            for attempt in [*room.occupants, *room.waiting]:
                attempt.rooms = attempt.claims = tuple(
                    claim._replace(limit=limit) if claim.resource == resource else claim
                    for claim in attempt.rooms
                )
            self._fill(room, resource)

    def withdraw(self, attempt: Attempt) -> bool:
        """Leave the place behind.  False: it has just become our turn, perhaps with the lock."""
        with self._mutex:
            if attempt.admitted:
                return False
            self.leave(attempt)
            return True

    def end(self) -> None:
        """Wake all who wait, for them to see that the client is closed."""
        with self._mutex:
            for room in self._rooms.values():
                for attempt in room.waiting:
                    if attempt.signal is not None:
                        attempt.signal.set()

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
            has_part = self._has_part(each)
            if self._admits(each, has_part):
                self._admit(each)
            elif not all(
                room.admits(each, claim, has_part=has_part)
                for claim in each.rooms
                if claim.resource == resource
            ):
                return  # nobody behind it can be let in, either

    def _has_part(self, attempt: Attempt) -> bool:
        for claim in attempt.rooms:
            room = self._rooms.get(claim.resource)
            if room is not None and room.holds(attempt.owner):
                return True
        return False

    def _admits(self, attempt: Attempt, has_part: bool) -> bool:
        for claim in attempt.rooms:
            room = self._rooms.get(claim.resource)
            if room is not None and not room.admits(attempt, claim, has_part=has_part):
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
