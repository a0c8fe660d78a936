"""Effects that know something of themselves: a request that must not wait, the grace of a job."""

from __future__ import annotations

import pytest

from consul_lock.errors import (
    Unavailable,
)
from tests.unit.protocol.fake_driver import Hand


def test_the_caller_waits_for_a_clean_up_no_longer_than_for_anything_else() -> None:
    """It goes on behind."""
    hand = Hand()
    job = hand.lock().acquire(True, 1.0, "me")
    hand.answers_left = 0
    begun = hand.world.now
    with pytest.raises(Unavailable) as caught:
        hand.run(job)
    left = job.grace(caught.value, hand.world.now)
    assert 0.0 <= left <= begun + 1.0 + 1.0 - hand.world.now
    assert job.grace(KeyboardInterrupt(), hand.world.now) == 5.0
