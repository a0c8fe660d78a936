"""Until when a session counts as alive, and what it has proved."""

from __future__ import annotations

import pytest

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
