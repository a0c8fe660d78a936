"""A hold and its deadline; the holds of a client in the order of their deadlines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.confirmation import CONFIRM_AFTER, COUNTS, Unconfirmed
from consul_lock._protocol.hold.hold import Grant, Hold, Holds, may_wait
from consul_lock._protocol.hold.state import Event, State
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import (
    ConsulLockError,
    LockLost,
    LossReason,
    PermissionDenied,
    Refused,
    Unavailable,
)
from tests.unit.protocol.fake_driver import FakeDriver, hold_of

LASTS = 28.5
"""Seconds from a proof of life to the deadline, by the default terms."""


def session(alive: float = 0.0) -> Session:
    made = Session("s", session_options(), None)
    made.mark_alive(alive)
    return made


def hold_with(*sessions: Session, until: float | None = None, on_lost: Any = None) -> Hold:
    """A hold with these sessions; ``until``: it counts until then, as it is not confirmed."""
    lock = FakeDriver().lock(on_lost=on_lost)
    pending = None if until is None else Unconfirmed(5, 0.0, until)
    grant = Grant(sessions[0], 5, False, None, sessions[1:], pending)
    return Hold(lock, grant, lock.attempt("me", True))


# -- the deadline


def test_it_counts_as_long_as_the_session_that_was_proved_last_ago() -> None:
    """Up to the deadline and not beyond; by a good answer all of them are proved."""
    hold = hold_with(session(100.0), session(90.0), session(95.0))
    assert hold.deadline() == 90.0 + LASTS
    assert hold.counts(118.4)
    assert hold.remaining(118.0) == 0.5
    hold.mark_alive(97.0, 7)
    assert hold.deadline() == 97.0 + LASTS
    assert not hold.counts(97.0 + LASTS)
    assert hold.remaining(97.0 + LASTS) == 0.0


@pytest.mark.parametrize("question", [Hold.counts, Hold.late])
def test_a_deadline_that_somebody_has_seen_pass_stays_passed(
    question: Callable[[Hold, float], bool],
) -> None:
    """An answer that was on its way moves it away, when its holder may have stopped already."""
    hold = hold_with(session(0.0))
    question(hold, LASTS)
    hold.mark_alive(20.0)
    assert hold.deadline() > LASTS
    assert not hold.counts(LASTS)
    assert hold.late(LASTS)


@pytest.mark.parametrize("event, gone", [(Event.RELEASE, False), (Event.LOSE, False), (None, True)])
def test_it_counts_neither_when_it_has_ended_nor_with_a_session_that_is_gone(
    event: Event | None, gone: bool
) -> None:
    """Whatever its deadline says."""
    hold = hold_with(session(0.0), other := session(0.0))
    assert hold.counts(1.0)
    if event is not None:
        hold.advance(event)
    other.gone = gone
    assert not hold.counts(1.0)


def test_an_unconfirmed_hold_counts_for_a_few_seconds_unless_it_is_being_released() -> None:
    """A release has as much time as any other."""
    hold = hold_with(session(0.0), until=4.0)
    assert hold.deadline() == 4.0
    hold.advance(Event.RELEASE)
    assert hold.deadline() == LASTS


# -- a release without an answer


@pytest.mark.parametrize(
    "answer, before, after",
    [
        (None, False, False),
        (None, True, True),
        (Unavailable("x", uncertain=True), False, True),
        (Unavailable("x", uncertain=False), False, False),
        (Unavailable("x", uncertain=False), True, True),
        (Refused("x"), False, False),
        (PermissionDenied("x"), True, True),
        (GeneratorExit(), False, True),
    ],
)
def test_a_release_is_in_doubt_until_it_is_answered_for_certain(
    answer: BaseException | None, before: bool, after: bool
) -> None:
    """Else the next try would take a loss for its own success; the doubt of an earlier try
    stays."""
    hold = hold_with(session())
    hold.unanswered = before

    def write() -> Flow[TxnResult]:
        if answer is not None:
            raise answer
        yield from ()
        return TxnResult(0.0, 0, (), ())

    with suppress(StopIteration, GeneratorExit, ConsulLockError):
        next(hold.leave(write()))
    assert hold.unanswered is after


# -- the report of a loss


def test_a_function_is_given_the_error_if_it_has_a_parameter_for_it() -> None:
    """By that name; what has no signature gets the reason alone."""
    seen = list[Any]()

    def plain(reason: LossReason) -> None:
        seen.append(reason)

    def with_error(reason: LossReason, error: LockLost) -> None:
        seen.append(error)

    for function in (plain, with_error, seen.append):
        hold = hold_with(session(), on_lost=function)
        hold.reason = LossReason.STOLEN
        call = hold.telling(LossReason.STOLEN)
        assert call is not None
        call.function(*call.args)
    first, error, last = seen
    assert (first, error.reason, last) == (LossReason.STOLEN,) * 3
    assert hold_with(session()).telling(LossReason.STOLEN) is None
    assert hold_with(session(), on_lost=partial(with_error, error=None)).telling(LossReason.STOLEN)


def test_the_signal_of_a_loss_is_set_also_if_it_is_asked_for_afterwards() -> None:
    """A forked child has another one than its parent, and has lost everything."""
    hold = hold_with(session())
    before = hold.lost
    assert not before.is_set()
    hold.forked()
    assert (hold.state, hold.reason) == (State.LOST, LossReason.FORKED)
    assert hold.lost is not before
    assert hold.lost.is_set()
    assert not before.is_set()


# -- the holds of a client


def test_each_hold_is_late_once_at_its_deadline() -> None:
    """One that was moved away meanwhile is looked at again then; one that has ended never is."""
    holds = Holds()
    early, moved, ended = (hold_with(session(alive)) for alive in (0.0, 1.0, 2.0))
    assert [holds.add(each) for each in (early, moved, ended)] == [LASTS, LASTS + 1, LASTS + 2]
    moved.mark_alive(10.0)
    holds.drop(ended)
    assert holds.next_deadline() == LASTS
    assert holds.late(LASTS - 0.1) == []
    assert holds.late(LASTS + 5) == [early]
    assert holds.late(LASTS + 5) == []
    assert holds.next_deadline() == LASTS + 10
    assert holds.late(LASTS + 10) == [moved]
    assert holds.next_deadline() == float("inf")


def test_a_hold_is_known_to_its_sessions_as_long_as_it_is_held() -> None:
    """Dropping it can be repeated."""
    holds, sessions = Holds(), (session(), session())
    holds.add(hold := hold_with(*sessions))
    assert (list(holds), len(holds)) == ([hold], 1)
    assert [list(each.holds) for each in sessions] == [[hold], [hold]]
    for _ in range(2):
        holds.drop(hold)
    assert (list(holds), len(holds)) == ([], 0)
    assert [list(each.holds) for each in sessions] == [[], []]


def test_a_hand_over_is_due_for_confirmation_once_in_its_time() -> None:
    """Not if it has ended before, or was confirmed by other means."""
    holds, due = Holds(), 10.0 - COUNTS + CONFIRM_AFTER
    ended, confirmed, there = (hold_with(session(), until=10.0) for _ in range(3))
    for hold in (ended, confirmed, there, hold_with(session())):
        holds.add(hold)
    holds.drop(ended)
    confirmed.unconfirmed = None
    assert holds.next_confirmation() == due
    assert holds.to_confirm(due - 0.1) == []
    assert holds.to_confirm(due) == [there]
    assert holds.to_confirm(due) == []
    assert holds.next_confirmation() == float("inf")


def test_confirmations_of_a_crowd_begin_earlier() -> None:
    """Eighty that are due in one moment have more time than one: a client that is starved of
    processor time does not get them all through in that of one."""
    holds, due = Holds(), 10.0 - COUNTS + CONFIRM_AFTER
    crowd = [hold_with(session(), until=10.0) for _ in range(80)]
    for hold in crowd:
        holds.add(hold)
    begin = holds.next_confirmation()
    assert 10.0 - COUNTS < begin <= due - 1.5
    assert holds.to_confirm(begin - 0.1) == []
    assert holds.to_confirm(begin) == crowd


@pytest.mark.parametrize(
    "blocking, deadline, expected",
    [(False, None, False), (True, None, True), (True, 5.1, True), (True, 5.0, False)],
)
def test_whether_a_caller_waits_any_longer(
    blocking: bool, deadline: float | None, expected: bool
) -> None:
    """One that may not wait is not asked for the time."""
    driver = FakeDriver()
    driver.world.advance(5.0 - driver.world.now)
    attempt = driver.lock().attempt("me", blocking)
    attempt.deadline = deadline
    assert driver.run(may_wait(attempt)) is expected


def test_the_heap_of_deadlines_does_not_grow_with_each_acquire() -> None:
    """An uncontended lock is acquired thousands of times before a deadline comes."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    holds, first = Holds(), hold_of(lock)
    grant = Grant(first.session, first.token, False, None)
    for _ in range(1000):
        holds.add(hold := Hold(lock, grant, first.attempt))
        holds.drop(hold)
    assert len(holds._heap) < 100
    holds.add(first)
    assert list(holds) == [first]
    assert holds.late(first.deadline()) == [first]
