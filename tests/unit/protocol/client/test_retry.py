"""Doing something again while Consul fails."""

from __future__ import annotations

from collections.abc import Callable

from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock.errors import (
    Unavailable,
)
from tests.unit.protocol.fake_driver import FakeDriver, took
from tests.unit.protocol.lock_kinds import each_kind


@each_kind
def test_a_release_that_is_not_answered_ends_in_time(
    make: Callable[[FakeDriver], Lockable],
) -> None:
    """Its requests are cut to what is left."""
    driver = FakeDriver()
    lock = make(driver)
    lock.client.retry_for = 15.0
    assert driver.run(lock.acquire(True, None, "me"))
    driver.answers_left = 0
    seconds, end = took(driver, lock.release("me"))
    assert end is Unavailable
    assert 15.0 <= seconds <= 16.0
