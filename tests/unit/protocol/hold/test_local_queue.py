"""The order of acquires inside one process: first come, first served, and nobody too many."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consul_lock._protocol.hold.hold import Attempt, Claim, Grant, Hold, OwnerHere
from consul_lock._protocol.hold.local_queue import LocalQueues
from consul_lock._protocol.holder import OwnerInfo
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from tests.unit.protocol.fake_driver import Signal

TERMS = session_options()


@pytest.fixture
def queues() -> LocalQueues:
    """Empty ones."""
    return LocalQueues(nullcontext(), Signal)


def wants(
    *claims: Claim, owner: str = "", blocking: bool = True, terms: Any = TERMS, holds: bool = False
) -> Attempt:
    """An attempt; by an owner of its own unless one is given."""
    about = cast("OwnerInfo", None)
    made = Attempt(claims or (Claim("a"),), about, (terms, None), owner or object(), blocking)
    made.hold = cast("Hold", object()) if holds else None
    return made


def slots(weight: int, limit: int = 3) -> Claim:
    return Claim("slots", weight, limit)


def admitted(*attempts: Attempt) -> list[bool]:
    return [attempt.admitted for attempt in attempts]


def is_woken(attempt: Attempt) -> bool:
    return attempt.signal is not None and attempt.signal.is_set()


def test_those_who_wait_are_admitted_in_the_order_of_their_coming(queues: LocalQueues) -> None:
    """Each when the one before it has left, and its signal is set then; nothing is left."""
    first, second, third = wants(), wants(), wants()
    assert [queues.enter(each) for each in (first, second, third)] == [True, False, False]
    queues.leave(first)
    assert (admitted(second, third), is_woken(second)) == ([True, False], True)
    queues.leave(second)
    queues.leave(second)  # can be repeated
    assert (admitted(third), is_woken(third)) == ([True], True)
    queues.leave(third)
    assert not queues._queues


def test_an_attempt_that_may_not_wait_leaves_no_trace(queues: LocalQueues) -> None:
    """Nor does one whose owner gives up."""
    first, once, late = wants(), wants(blocking=False), wants()
    assert [queues.enter(each) for each in (first, once, late)] == [True, False, False]
    assert once.signal is None
    assert queues.withdraw(late)
    queues.leave(first)
    assert admitted(once, late) == [False, False]
    assert not queues._queues


def test_an_attempt_that_was_just_admitted_cannot_withdraw(queues: LocalQueues) -> None:
    """The turn has come, perhaps with the lock."""
    first, second = wants(), wants()
    queues.enter(first)
    queues.enter(second)
    queues.leave(first)
    assert not queues.withdraw(second)
    assert second.admitted


@pytest.mark.parametrize(
    "inside, waiting, asks, expected",
    [
        ([1, 1], [], 1, True),
        ([1, 1], [], 2, False),
        ([3], [], 1, False),
        ([1], [3], 1, False),  # the big one that waits is not overtaken
        ([], [], 4, True),  # Consul says that there is no such slot
    ],
)
def test_weights_of_those_before_and_the_own_one_stay_within_the_limit(
    queues: LocalQueues, inside: list[int], waiting: list[int], asks: int, expected: bool
) -> None:
    """Of those who are in, and of those who wait before."""
    for weight in (*inside, *waiting):
        queues.enter(wants(slots(weight)))
    assert queues.enter(wants(slots(asks))) is expected


def test_room_that_becomes_free_goes_to_as_many_as_it_is_enough_for(queues: LocalQueues) -> None:
    """And to nobody behind one that it is too small for."""
    big, two, three, one = (wants(slots(weight)) for weight in (3, 2, 3, 1))
    for attempt in (big, two, three, one):
        queues.enter(attempt)
    queues.leave(big)
    assert admitted(two, three, one) == [True, False, False]


def test_a_holder_of_a_part_overtakes_the_waiters_for_it(queues: LocalQueues) -> None:
    """Behind them it would wait for itself; but not where there is no room."""
    for owner in ("me", "you"):
        queues.enter(wants(slots(1), owner=owner, holds=True))
    queues.enter(waiting := wants(slots(3)))
    assert not queues.enter(wants(slots(1), owner="somebody"))
    assert not queues.enter(wants(slots(2), owner="me"))
    assert queues.enter(wants(slots(1), owner="me"))
    assert queues.enter(wants(slots(1), owner="me"))  # who contends in Consul may be behind it, too
    assert not waiting.admitted


def test_several_things_are_got_together_or_not_at_all(queues: LocalQueues) -> None:
    """One that waits for both takes neither meanwhile, and lets nobody pass on either."""
    a, b = Claim("a"), Claim("b")
    holder, both, later = wants(a), wants(a, b), wants(b)
    assert [queues.enter(each) for each in (holder, both, later)] == [True, False, False]
    queues.leave(holder)
    assert admitted(both, later) == [True, False]
    queues.leave(both)
    assert admitted(later) == [True]


def test_another_limit_counts_for_those_who_are_in_and_those_who_wait(queues: LocalQueues) -> None:
    """More room admits at once; less is no reason to throw anybody out."""
    first, second, third = (wants(slots(1, 1)) for _ in range(3))
    for attempt in (first, second, third):
        queues.enter(attempt)
    queues.relimit("slots", 2)
    assert admitted(second, third) == [True, False]
    queues.relimit("slots", 1)
    queues.leave(first)
    assert admitted(second, third) == [True, False]
    assert {claim.limit for each in (second, third) for claim in each.claims} == {1}
    queues.relimit("something else", 5)


def test_the_lock_is_given_to_the_next_waiter_with_the_session(queues: LocalQueues) -> None:
    """If that waits for a session of the same kind, and is still the first."""
    session = Session("s", TERMS, None)
    grant = Grant(session, 5, False, None)
    first, second, third = wants(), wants(), wants()
    for attempt in (first, second, third):
        queues.enter(attempt)
    assert queues.next_waiter(first) is second
    assert not queues.give(first, third, grant)
    assert queues.give(first, second, grant)
    assert (second.given, second.session, session.borrower) == (grant, session, second)
    assert admitted(first, second, third) == [False, True, False]
    queues.leave(third)
    assert queues.next_waiter(second) is None
    assert not queues.give(second, third, grant)


def test_a_session_on_other_terms_is_not_passed_on(queues: LocalQueues) -> None:
    """It might end at another time than the waiter has asked for."""
    first = wants()
    queues.enter(first)
    queues.enter(wants(terms=session_options(ttl=60)))
    assert queues.next_waiter(first) is None


def test_a_shared_session_stays_with_those_who_share_it(queues: LocalQueues) -> None:
    """Its borrower is not the next waiter."""
    session = Session("s", TERMS, "shared")
    session.shared = True
    first, second = wants(), wants()
    queues.enter(first)
    queues.enter(second)
    assert queues.give(first, second, Grant(session, 5, False, None))
    assert session.borrower == "shared"


def test_all_who_wait_are_woken_when_the_client_closes(queues: LocalQueues) -> None:
    """They are not admitted: they see that it is closed."""
    first, second, third = wants(), wants(), wants()
    for attempt in (first, second, third):
        queues.enter(attempt)
    queues.end()
    assert [is_woken(each) for each in (second, third)] == [True, True]
    assert admitted(second, third) == [False, False]


def test_who_waits_can_learn_who_of_this_process_has_it(queues: LocalQueues) -> None:
    """Only a holder: one that contends for it itself has nothing yet.  And who got it from whom is
    known without the attempt, which would keep those before it in memory."""
    first, second = wants(), wants()
    first.about = second.about = OwnerInfo({"host": "h", "pid": 7}, TERMS, {"n": "1"}, None)
    queues.enter(first)
    queues.enter(second)
    assert queues.owner_before(second) is None
    session = Session("s1", TERMS, 0.0)
    first.hold = cast("Hold", SimpleNamespace(session=session))
    assert queues.owner_before(second) == OwnerHere(first.about, "s1")
    assert queues.owner_before(first) is None
    assert queues.give(first, second, Grant(session, 5, False, None))
    assert second.handed_over
    assert second.held_here == OwnerHere(first.about, "s1")
    assert second.in_the_way() == first.about.holder("s1")
