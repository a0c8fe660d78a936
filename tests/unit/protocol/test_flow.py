"""Effects that know something of themselves: a request that must not wait, the grace of a job."""

from __future__ import annotations

import pytest

from consul_lock.errors import (
    Unavailable,
)
from tests.unit.protocol.fake_driver import FakeDriver


def test_the_caller_waits_for_a_clean_up_no_longer_than_for_anything_else() -> None:
    """It goes on behind."""
    driver = FakeDriver()
    job = driver.lock().acquire(True, 1.0, "me")
    driver.answers_left = 0
    begun = driver.world.now
    with pytest.raises(Unavailable) as caught:
        driver.run(job)
    left = job.grace(caught.value, driver.world.now)
    assert 0.0 <= left <= begun + 1.0 + 1.0 - driver.world.now
    assert job.grace(KeyboardInterrupt(), driver.world.now) == 5.0
