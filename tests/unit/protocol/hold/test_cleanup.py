"""What lost holds have left in Consul: noted, put off, and taken away once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from consul_lock._protocol.flow import Flow, Now
from consul_lock._protocol.hold.cleanup import PAUSE, PendingCleanup, PendingCleanups
from consul_lock._protocol.hold.hold import Attempt, Held
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import PermissionDenied, Unavailable

ATTEMPT = cast("Attempt", object())


def session(name: str) -> Session:
    return Session(name, session_options(), None)


class Leaving:
    """A kind of lock that leaves something behind, as far as cleaning up is concerned."""

    def __init__(self, meanwhile: Callable[[], Any] = lambda: None) -> None:
        self.tidied: list[list[str]] = []
        self._meanwhile = meanwhile

    def tidy(self, attempt: Any, sessions: list[Session]) -> Flow[None]:
        self.tidied.append([each.id for each in sessions])
        self._meanwhile()
        yield from ()


class Wakings(list[bool]):
    """How often the keeper was woken."""

    def __call__(self) -> None:
        self.append(True)


def run(flow: Flow[None], now: float = 100.0) -> None:
    value = None
    while True:
        try:
            assert isinstance(flow.send(value), Now)
        except StopIteration:
            return
        value = now


def left(lock: Leaving, *names: str, when: float = 0.0) -> PendingCleanup:
    return PendingCleanup(when, cast("Held", lock), [session(name) for name in names])


def test_leftovers_are_deleted_once_when_their_time_has_come() -> None:
    """Until then only its time is known."""
    wakings, lock = Wakings(), Leaving()
    cleanups = PendingCleanups(wakings, ())
    cleanups.leave(ATTEMPT, left(lock, "s", when=7.0))
    assert (cleanups.times(), len(wakings)) == ([7.0], 1)
    assert (cleanups.due(6.9), cleanups.due(7.0)) == ([], [ATTEMPT])
    for _ in range(2):
        run(cleanups.clear(ATTEMPT))
    assert (lock.tidied, cleanups.times()) == ([["s"]], [])


def test_later_leftovers_are_added_to_the_note() -> None:
    """With its own time, and each session once; one that does the work itself wakes nobody."""
    wakings, lock = Wakings(), Leaving()
    cleanups, first, second = PendingCleanups(wakings, ()), session("a"), session("b")
    for sessions, when in (([first], 7.0), ([second, first], 9.0)):
        cleanups.leave(ATTEMPT, PendingCleanup(when, cast("Held", lock), sessions), wake=False)
    assert (cleanups.times(), len(wakings)) == ([9.0], 0)
    run(cleanups.clear(ATTEMPT))
    assert lock.tidied == [["b", "a"]]


def test_while_consul_is_away_it_is_tried_again_after_a_pause() -> None:
    """The keeper is woken to plan that."""

    def fails() -> None:
        raise Unavailable("away")

    wakings = Wakings()
    cleanups = PendingCleanups(wakings, ())
    cleanups.leave(ATTEMPT, left(Leaving(fails), "s"), wake=False)
    run(cleanups.clear(ATTEMPT), 100.0)
    assert (cleanups.times(), len(wakings)) == ([100.0 + PAUSE], 1)


def test_leftovers_that_may_not_be_deleted_are_left_to_others() -> None:
    """Another try would be denied, too."""

    def denied() -> None:
        raise PermissionDenied("no")

    cleanups = PendingCleanups(Wakings(), ())
    cleanups.leave(ATTEMPT, left(Leaving(denied), "s"))
    run(cleanups.clear(ATTEMPT))
    assert cleanups.times() == []


def test_leftovers_added_during_the_deletion_are_not_forgotten() -> None:
    """A session whose end was found in the meantime."""
    cleanups = PendingCleanups(Wakings(), ())
    lock = Leaving(lambda: cleanups.leave(ATTEMPT, left(lock, "late", when=5.0)))
    cleanups.leave(ATTEMPT, left(lock, "s"))
    run(cleanups.clear(ATTEMPT))
    assert cleanups.times() == [5.0]


@pytest.mark.parametrize("condemned", [False, True])
def test_leftovers_are_noted_until_a_session_in_doubt_has_ended(condemned: bool) -> None:
    """Also if it ends during the deletion: the late write may have come before that."""
    wakings, to_destroy = Wakings(), set[str]()
    cleanups = PendingCleanups(wakings, to_destroy)

    def ends() -> None:
        late.gone = True
        to_destroy.clear()

    lock, late = Leaving(ends), session("late")
    late.uncertain, late.gone = True, condemned
    to_destroy.update({late.id} if condemned else ())
    note = PendingCleanup(0.0, cast("Held", lock), [session("s"), late])
    cleanups.leave(ATTEMPT, note, wake=False)
    run(cleanups.clear(ATTEMPT), 100.0)
    assert (cleanups.times(), len(wakings)) == ([100.0 + PAUSE], 1)
    run(cleanups.clear(ATTEMPT), 100.0 + PAUSE)
    assert (lock.tidied, cleanups.times(), len(wakings)) == ([["s", "late"]] * 2, [], 1)


def test_leftovers_that_may_not_be_deleted_are_not_noted_for_a_session_in_doubt() -> None:
    """One that cannot be destroyed would have it tried for ever."""

    def denied() -> None:
        raise PermissionDenied("no")

    cleanups = PendingCleanups(Wakings(), {"s"})
    note = left(Leaving(denied), "s")
    note.sessions[0].uncertain = note.sessions[0].gone = True
    cleanups.leave(ATTEMPT, note)
    run(cleanups.clear(ATTEMPT))
    assert cleanups.times() == []


@pytest.mark.parametrize("there", [False, True])
def test_putting_off_says_whether_there_is_anything_left(there: bool) -> None:
    """Somebody else may have taken it away meanwhile."""
    cleanups = PendingCleanups(Wakings(), ())
    if there:
        cleanups.leave(ATTEMPT, left(Leaving(), "s"))
    assert cleanups.put_off(ATTEMPT, 30.0) is there
    assert cleanups.times() == ([30.0] if there else [])
