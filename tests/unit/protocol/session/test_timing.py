"""Times that follow from TTL and lock-delay, and those that are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.session import timing as terms
from consul_lock.errors import ConfigError


@given(st.floats(10, 600), st.floats(0, 60))
def test_accepted_terms_leave_room_for_a_renewal_to_fail(ttl: float, lock_delay: float) -> None:
    """Two periods and the margin fit into the time that a proof of life lasts."""
    try:
        asked = terms.session_options(ttl, lock_delay)
    except ConfigError:
        assert lock_delay < 0.4 or lock_delay == 0
        return
    assert 2 * terms.renew_interval_of(asked) + terms.safety_margin_of(asked) <= terms.validity_of(
        asked
    )
    assert terms.renew_interval_of(asked) <= ttl / 3


@pytest.mark.parametrize(
    "asked",
    [
        {"ttl": 9.9},
        {"ttl": 86401},
        {"ttl": float("nan")},
        {"ttl": True},
        {"lock_delay": -1},
        {"lock_delay": 61},
        {"lock_delay": 0.2},
        {"checks": "serfHealth"},
        {"checks": [""]},
    ],
)
def test_bad_terms_are_refused(asked: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError):
        terms.session_options(**asked)


@pytest.mark.parametrize("lock_delay", [0.0, 0.5, 2.0, 30.0, 60.0])
@pytest.mark.parametrize("ttl", [10.0, 60.0])
def test_times_are_stretched_by_no_more_than_what_leaves_room_for_tries(
    ttl: float, lock_delay: float
) -> None:
    """Under a limit of requests; as usual without one."""
    asked = terms.session_options(ttl=ttl, lock_delay=lock_delay)
    assert terms.stretched_renewal(asked, 1.0, held=True) == pytest.approx(ttl / 3)
    assert terms.stretched_verification(asked, 1.0) == terms.renew_interval_of(asked)
    for stretch in (1.5, 3.0, 100.0):
        renewal = terms.stretched_renewal(asked, stretch, held=True)
        assert ttl / 3 < renewal <= ttl
        assert renewal <= 0.75 * terms.renewable_for(asked)
        assert terms.stretched_renewal(asked, stretch, held=False) >= renewal
        assert terms.stretched_verification(asked, stretch) <= 0.75 * terms.validity_of(asked)
