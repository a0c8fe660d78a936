"""The events: small objects that never change, with names that stay."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from consul_lock import LossReason, events

_ALL = [getattr(events, name) for name in events.__all__]
_NAMED = [each for each in _ALL if each.event]


def test_the_names_stay_the_same_and_are_different() -> None:
    """Programs sort by them; those that the command has in its log are the same there."""
    assert sorted(each.event for each in _NAMED) == [
        "acquired",
        "elected",
        "ended",
        "gave-up",
        "handed-over",
        "lost",
        "missed",
        "released",
        "renewal-failing",
        "renewal-works",
        "resigned",
        "retrying",
        "skipped",
        "started",
        "taken",
        "waiting",
    ]


@pytest.mark.parametrize("kind", _NAMED, ids=lambda kind: kind.event)
def test_an_event_is_a_small_frozen_object(kind: type[events.Event]) -> None:
    """It can be kept, compared and passed on, and nobody changes it."""
    more = {"reason": LossReason.STOLEN} if kind is events.Lost else {}
    event = kind(name="deploy", key="deploy/.lock", attempt=3, **more)  # type: ignore[arg-type] # of one alone
    assert event == kind(name="deploy", key="deploy/.lock", attempt=3, **more)  # type: ignore[arg-type] # of one alone
    assert not hasattr(event, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.name = "other"  # type: ignore[misc] # what is refused
    assert isinstance(event, events.Event)


def test_an_election_is_a_lock_to_those_who_do_not_know_elections() -> None:
    """Its events are of kinds that every listener knows."""
    assert issubclass(events.Elected, events.Acquired)
    assert issubclass(events.Resigned, events.Released)


def test_no_event_has_a_field_for_a_credential() -> None:
    """``token`` is the fencing token, a number; errors and metadata are what others may see."""
    fields = {field.name: field.type for each in _ALL for field in dataclasses.fields(each)}
    assert fields["token"] == "int | None"
    assert not {"acl", "password", "secret", "http_auth"} & fields.keys()


def test_importing_them_loads_nothing_else_of_the_library() -> None:
    """A program may sort events in a process that has no client."""
    program = (
        "import sys, consul_lock.events\n"
        "print(*sorted(m for m in sys.modules if m.startswith('consul_lock.')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.split() == ["consul_lock.errors", "consul_lock.events"]
