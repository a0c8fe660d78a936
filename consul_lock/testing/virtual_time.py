"""Virtual time, and what will happen in it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Event:
    """Something that happens at ``when``, unless it is cancelled before."""

    __slots__ = ("dead", "fire", "when")

    def __init__(self, when: float, fire: Callable[[], None]) -> None:
        self.when = when
        self.fire = fire
        self.dead = False

    def cancel(self) -> None:
        """Do not happen."""
        self.dead = True


class Timeline:
    """A clock that moves only on request.  Events of one instant keep their order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Event]] = []
        self._order = count()

    def at(self, when: float, fire: Callable[[], None]) -> Event:
        """Plan ``fire`` for the time ``when``."""
        event = Event(when, fire)
        heapq.heappush(self._heap, (when, next(self._order), event))
        return event

    def next(self) -> float | None:
        """When the next event happens, None if nothing is planned."""
        heap = self._heap
        # Cancelled events stay in the heap until they come to its top: a renewal cancels one
        # event a time, and to search for it would cost more than to skip it later.
        while heap and heap[0][2].dead:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def advance_to(self, when: float) -> None:
        """Move the clock to ``when``, with everything that happens on the way."""
        while (due := self.next()) is not None and due <= when:
            event = heapq.heappop(self._heap)[2]
            self.now = max(self.now, due)
            event.dead = True
            event.fire()
        self.now = max(self.now, when)
