"""What callers did and saw in one run: calls and returns, in the order in which they happened.

Written down by the threads of the simulation, from what the library answered them.  The judge of
it is `tests.simulation.linearizability`, which knows nothing of the library and of Consul.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consul_lock._protocol.hold.hold import Hold
    from tests.simulation.lock_client import Contender, Thread


class Action(enum.Enum):
    """What an operation does."""

    ACQUIRE = "acquire"
    RELEASE = "release"
    REDUCE = "reduce"
    """Have less of what is held: a writer becomes a reader."""
    RESIZE = "resize"
    """Change the limit of a semaphore."""


@dataclass(slots=True, eq=False)
class Operation:
    """One call.  It takes effect at one moment between its call and its return."""

    action: Action
    called: int
    """Its place among all calls and returns."""
    returned: int | None = None
    """None: it has not returned, or not well.  It may take effect at any time, or never."""
    hold: int = 0
    """What is acquired, reduced or released."""
    weights: Mapping[str, int] = field(default_factory=dict)
    """How much of each resource that takes."""
    token: int = 0
    limit: int | None = None
    """The limit that a semaphore is changed to."""
    brings: frozenset[int] = frozenset()
    """The limits that the caller of a semaphore may have asked for: those of the same object at the
    call and at the return, as another thread may change it meanwhile."""


class History:
    """The operations of one run."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._places = 0
        self._numbers: dict[Hold, int] = {}
        self._held: dict[Hold, Contender] = {}
        """Holds that their owners believe in, and nobody has begun to release."""
        self._releases: dict[Hold, Operation] = {}
        self._reductions: dict[Hold, Operation] = {}
        self._resizes: dict[Thread, Operation] = {}

    def place(self) -> int:
        """The next place in the order of calls and returns."""
        self._places += 1
        return self._places

    def granted(
        self,
        called: int,
        contender: Contender,
        hold: Hold,
        weights: Mapping[str, int],
        limits: frozenset[int],
    ) -> None:
        """An acquire that was called at this place returns with a hold."""
        self.note_losses()
        if not hold.counts(contender.clock()):
            return  # its caller never believed in it
        self._numbers[hold] = len(self._numbers) + 1
        self._held[hold] = contender
        self.operations.append(
            Operation(
                Action.ACQUIRE,
                called,
                self.place(),
                self._numbers[hold],
                dict(weights),
                hold.token,
                brings=limits,
            )
        )

    def note_losses(self) -> None:
        """Holds that do not count any more have ended, those of the dead at any time from now."""
        for hold, contender in list(self._held.items()):
            if contender.crashed or not hold.counts(contender.clock()):
                release = self._ends(hold)
                if not contender.crashed:
                    release.returned = self.place()

    def releases(self, hold: Hold) -> None:
        """A release is called."""
        self.note_losses()
        if hold in self._held:
            self._releases[hold] = self._ends(hold)

    def released(self, hold: Hold) -> None:
        """It has returned well."""
        if hold in self._releases:
            self._releases.pop(hold).returned = self.place()

    def reduces(self, hold: Hold, weights: Mapping[str, int]) -> None:
        """From now on a hold may have less."""
        self.note_losses()
        if hold in self._held:
            operation = Operation(
                Action.REDUCE, self.place(), None, self._numbers[hold], dict(weights)
            )
            self._reductions[hold] = operation
            self.operations.append(operation)

    def reduced(self, hold: Hold) -> None:
        """It has less."""
        if hold in self._reductions:
            self._reductions.pop(hold).returned = self.place()

    def resizes(self, thread: Thread, name: str, limit: int) -> None:
        """From now on a semaphore may have another limit."""
        operation = Operation(Action.RESIZE, self.place(), weights={name: 0}, limit=limit)
        self._resizes[thread] = operation
        self.operations.append(operation)

    def resized(self, thread: Thread) -> None:
        """It has."""
        self._resizes.pop(thread).returned = self.place()

    def _ends(self, hold: Hold) -> Operation:
        del self._held[hold]
        operation = Operation(Action.RELEASE, self.place(), None, self._numbers[hold])
        self.operations.append(operation)
        return operation
