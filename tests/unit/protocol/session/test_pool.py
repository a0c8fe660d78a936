"""The sessions of a client: who borrows them, what becomes of those in doubt."""

from __future__ import annotations

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import (
    Unavailable,
)
from tests.unit.protocol.fake_driver import NAME, NEVER, FakeDriver, took
from tests.unit.protocol.lock_kinds import LASTING


def test_the_session_of_a_failed_release_is_destroyed_however_long_consul_was_away() -> None:
    """Elections restart the times of all sessions: age proves nothing."""
    driver = FakeDriver()
    lock = LockCore(driver.client(), names.keys_of_name(NAME), LASTING)
    driver.acquire(lock)
    driver.answers_left = 0
    job = lock.release("me")
    assert took(driver, job)[1] is Unavailable
    assert job.undo is not None
    driver.run(job.undo())
    driver.world.advance(3600.0)
    driver.run(lock.client.pool.sweep(driver.world.now))
    assert len(driver.sessions()) == 1
    driver.answers_left = NEVER
    driver.run(lock.client.pool.sweep(driver.world.now))
    assert driver.sessions() == set()
    assert not lock.client.pool.to_destroy


@pytest.mark.parametrize("seconds", [100 / 3, 10.0004, 59.9999])
def test_times_of_a_session_are_compared_in_milliseconds(seconds: float) -> None:
    """As they are sent: the answer has no more digits than that."""
    driver = FakeDriver()
    asked = Settings(terms.session_options(ttl=seconds, lock_delay=seconds))
    assert driver.acquire(LockCore(driver.client(), names.keys_of_name(NAME), asked)) is True
