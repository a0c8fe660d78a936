"""The life of one hold, from the grant to its end, as a table.

Legality is presence in ``TRANSITIONS``: a missing entry *is* the illegal transition.  Nothing
else in the package changes a state.  ``ARCHITECTURE.md`` shows the table, and a test compares.
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where a hold is.  There is none before the grant: who waits has an `Attempt`."""

    __hash__ = object.__hash__  # faster than that by the name, and as good

    HELD = "held"
    """Consul granted it.  It counts as held only while the deadline has not passed, too."""
    RELEASING = "releasing"
    """It is being released; for its owner it is over already."""
    RELEASED = "released"
    """Released."""
    LOST = "lost"
    """Taken away, or no longer certain to be held."""


class Event(enum.Enum):
    """What happens to a hold."""

    __hash__ = object.__hash__

    RELEASE = "release"
    CONFIRM = "confirm"
    LOSE = "lose"
    """A detector found the loss while it was held."""
    TOO_LATE = "too late"
    """The release found that it was lost before."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.HELD, Event.RELEASE): State.RELEASING,
    (State.HELD, Event.LOSE): State.LOST,
    (State.RELEASING, Event.CONFIRM): State.RELEASED,
    (State.RELEASING, Event.TOO_LATE): State.LOST,
}


def advance(state: State, event: Event) -> State | None:
    """The state that follows, or None if the event means nothing (any more) in this state."""
    return TRANSITIONS.get((state, event))
