"""The queue as one waiter knows it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.hold.waiter import (
    WaiterEntry,
    WaiterQueue,
    handed_over_value,
    told_waiters,
)
from consul_lock._protocol.holder import VALUE_MAX, parse_holder
from tests.unit.protocol.test_holder import about


@given(st.integers(0, 40), st.integers(0, 1500))
def test_what_is_handed_down_is_a_beginning_of_the_line(waiters: int, size: int) -> None:
    """In order, without a gap, and never more than a value may have."""
    word = about(job="x" * size).value(1.0).decode()
    entries = tuple(WaiterEntry(f"session-{n}", word, n, n) for n in range(waiters + 1))
    value = handed_over_value(entries[0], WaiterQueue(entries[1:], 5), 2.0)
    assert len(value) <= VALUE_MAX
    line = told_waiters(Pair("k", value, 0, "session-0", 1, 2))
    sessions = [entry.session for entry in line.entries]
    assert sessions == [entry.session for entry in entries[1 : 1 + len(sessions)]]
    assert json.loads(value)["since"] == 2.0
    assert all(parse_holder(e.session, e.about).host == "h" for e in line.entries)
    if size == 0 and waiters:
        assert sessions
