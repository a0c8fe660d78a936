"""Until when a session counts as alive, and what it has proved."""

from __future__ import annotations

import pytest

from consul_lock._protocol.flow import Request
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options


def test_the_hold_ends_before_anybody_else_can_begin() -> None:
    """Lock-delay after the last proof of life, less the margin for clocks that drift."""
    session = Session("mine", session_options(lock_delay=30.0), None)
    session.mark_alive(100.0)
    assert session.deadline() == pytest.approx(130.0 - 1.5)


def test_without_a_lock_delay_only_a_renewal_counts_once_it_is_confirmed() -> None:
    """Then the TTL is all there is, and other requests do not restart it."""
    session = Session("mine", session_options(lock_delay=0.0), None)
    session.renewed = 100.0
    session.mark_alive(105.0)
    assert session.deadline() == pytest.approx(110.0 - 0.5)
    session.was_renewed(106.0)
    session.mark_alive(105.5)
    assert session.deadline() == pytest.approx(110.0 - 0.5)
    session.mark_alive(106.0)
    assert session.deadline() == pytest.approx(116.0 - 0.5)


def session(**asked: float) -> Session:
    return Session("mine", session_options(**asked), None)


def test_the_latest_proof_counts_in_whatever_order_answers_come() -> None:
    """An older one, which comes later, moves neither the deadline nor the index back."""
    found = session()
    found.mark_alive(100.0, 9)
    found.mark_alive(90.0, 5)
    assert (found.alive, found.last_write_index) == (100.0, 9)
    found.mark_alive(90.0, 12)
    assert found.last_write_index == 12


def test_an_older_renewal_does_not_replace_a_later_one() -> None:
    """Their answers may cross; a proof confirms the latest that was sent before it."""
    found = session(lock_delay=0.0)
    found.was_renewed(106.0)
    found.was_renewed(103.0)
    found.mark_alive(106.0)
    assert found.renewed == 106.0


@pytest.mark.parametrize(
    "writing, uncertain, in_doubt",
    [(0, False, False), (1, False, True), (0, True, True)],
)
def test_a_write_that_was_not_answered_leaves_the_session_in_doubt(
    writing: int, uncertain: bool, in_doubt: bool
) -> None:
    """Under way, cut off, or failed without an answer."""
    found = session()
    found.writing, found.uncertain = writing, uncertain
    assert found.in_doubt is in_doubt


def test_requests_that_repeat_are_built_once_and_few_are_kept() -> None:
    """A session that is used for one lock after another does not grow."""
    found, built = session(), list[int]()

    def build() -> Request:
        built.append(len(built))
        return Request("GET", str(len(built)), (), None, lambda reply: reply)

    assert found.prepared(("a", 1), build) is found.prepared(("a", 1), build)
    assert len(built) == 1
    for number in range(100):
        found.prepared(("b", number), build)
    assert len(found._prepared) <= 16
