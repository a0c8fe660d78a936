"""The times that follow from the ones of a session."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock.limits import (
    LOCK_DELAY_MAX,
    LOCK_DELAY_MIN,
    TTL_MAX,
    TTL_MIN,
    renew_interval,
    safety_margin,
    validity,
)


@pytest.mark.parametrize(
    "ttl, lock_delay, valid, interval, margin",
    [
        (10.0, 30.0, 30.0, 10 / 3, 1.5),
        (10.0, 15.0, 15.0, 2.5, 0.75),
        (60.0, 6.0, 6.0, 1.0, 0.3),
        (10.0, 0.3, 0.3, 0.05, 0.2),
        (10.0, 0.0, 10.0, 10 / 3, 0.5),
        (86400.0, 0.0, 86400.0, 28800.0, 4320.0),
    ],
)
def test_the_times_of_a_session(
    ttl: float, lock_delay: float, valid: float, interval: float, margin: float
) -> None:
    """With a lock-delay it is what counts; without one the TTL does."""
    assert validity(ttl, lock_delay) == valid
    assert renew_interval(ttl, lock_delay) == pytest.approx(interval)
    assert safety_margin(ttl, lock_delay) == pytest.approx(margin)


@given(
    ttl=st.floats(TTL_MIN, TTL_MAX),
    lock_delay=st.just(0.0) | st.floats(LOCK_DELAY_MIN, LOCK_DELAY_MAX),
)
def test_within_the_limits_one_renewal_may_fail(ttl: float, lock_delay: float) -> None:
    """Before a hold ends at its deadline, there is time for two, and the TTL has not expired."""
    valid, margin = validity(ttl, lock_delay), safety_margin(ttl, lock_delay)
    interval = renew_interval(ttl, lock_delay)
    assert 2 * interval + margin <= valid * (1 + 1e-9)
    assert 2 * interval < ttl
    assert margin >= 0.2


def test_a_lock_delay_below_its_minimum_has_no_room_for_that() -> None:
    """So the minimum is not lower."""
    below = LOCK_DELAY_MIN * 0.9
    assert 2 * renew_interval(TTL_MIN, below) + safety_margin(TTL_MIN, below) > below
