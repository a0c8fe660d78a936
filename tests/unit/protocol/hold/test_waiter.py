"""The queue as one waiter knows it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.hold import waiter as queues
from consul_lock._protocol.hold.waiter import (
    WaiterEntry,
    WaiterQueue,
    handed_over_value,
    told_waiters,
)
from consul_lock._protocol.holder import VALUE_MAX, parse_holder
from tests.unit.protocol.test_holder import about

QUEUE = "jobs/.queue"


@given(st.integers(0, 40), st.integers(0, 1500))
def test_the_hints_of_a_hand_over_are_the_head_of_the_queue(waiters: int, size: int) -> None:
    """In order, without a gap, and never more than a value may have."""
    word = about(job="x" * size).value(1.0).decode()
    entries = tuple(WaiterEntry(f"session-{n}", word, n, n) for n in range(waiters + 1))
    value = handed_over_value(entries[0], WaiterQueue(entries[1:], 5), 2.0)
    assert len(value) <= VALUE_MAX
    queue = told_waiters(Pair("k", value, 0, "session-0", 1, 2))
    sessions = [entry.session for entry in queue.entries]
    assert sessions == [entry.session for entry in entries[1 : 1 + len(sessions)]]
    assert json.loads(value)["since"] == 2.0
    assert all(parse_holder(e.session, e.about).host == "h" for e in queue.entries)
    if size == 0 and waiters:
        assert sessions


def test_the_queue_is_in_the_order_of_joining() -> None:
    """A key that is not an entry locked by its own session is ignored."""
    pairs = [
        Pair(QUEUE, b"", 0, "", 1, 40),
        Pair(f"{QUEUE}/c", b"3", 0, "c", 30, 30),
        Pair(f"{QUEUE}/a", b"1", 0, "a", 10, 35),
        Pair(f"{QUEUE}/b", b"2", 0, "b", 20, 20),
        Pair(f"{QUEUE}/x", b"", 0, "", 5, 5),
        Pair(f"{QUEUE}/y", b"", 0, "z", 5, 5),
        Pair(f"{QUEUE}r", b"", 0, "q", 5, 5),
    ]
    queue = queues.parse_queue(QUEUE, pairs)
    assert [entry.session for entry in queue.entries] == ["a", "b", "c"]
    assert queue.sign == 40
    assert queue.before("a") == ()
    assert [entry.session for entry in queue.before("c")] == ["a", "b"]
    assert [entry.session for entry in queue.behind("b").entries] == ["a", "c"]
    with pytest.raises(KeyError):
        queue.before("x")
