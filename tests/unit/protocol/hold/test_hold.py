"""A hold and its deadline."""

from __future__ import annotations

from consul_lock._protocol.hold.hold import Grant, Hold, Holds
from tests.unit.protocol.fake_driver import FakeDriver, hold_of


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
