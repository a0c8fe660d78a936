"""The life of a hold is a table, and the map of the architecture shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from consul_lock._protocol.hold.state import TRANSITIONS, Event, State, advance

ARCHITECTURE = Path(__file__).parents[4] / "ARCHITECTURE.md"


def test_every_state_can_be_reached() -> None:
    """Beginning with the grant, the table leads everywhere."""
    reached = {State.HELD}
    for _ in State:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(State)


def test_every_event_means_something() -> None:
    """No event is in vain."""
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_an_ended_acquisition_stays_ended() -> None:
    """Nothing leads out of released and lost: an acquisition is not used twice."""
    ended = {State.RELEASED, State.LOST}
    assert not ended & {before for before, _ in TRANSITIONS}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", list(Event))
def test_events_that_are_not_in_the_table_change_nothing(state: State, event: Event) -> None:
    """A missing entry is the illegal transition."""
    assert advance(state, event) is TRANSITIONS.get((state, event))


def test_a_lock_is_lost_once() -> None:
    """Whichever detector comes first tells the loss; the others find nothing to do."""
    assert advance(State.HELD, Event.LOSE) is State.LOST
    assert advance(State.LOST, Event.LOSE) is None
    assert advance(State.RELEASING, Event.LOSE) is None


def test_the_architecture_shows_this_table() -> None:
    """Its lines ``| state | event | state |`` are the transitions, all of them."""
    names = "|".join(state.value for state in State)
    events = "|".join(event.value for event in Event)
    row = rf"^\| *`?({names})`? *\| *`?({events})`? *\| *`?({names})`? *\|"
    line = re.compile(row, re.MULTILINE)
    shown = {
        (State(before), Event(event)): State(after)
        for before, event, after in line.findall(ARCHITECTURE.read_text())
    }
    assert shown == TRANSITIONS
