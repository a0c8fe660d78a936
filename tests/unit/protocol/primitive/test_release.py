"""A release: what it gives back, and how it finds that the lock was lost."""

from __future__ import annotations

import pytest

from consul_lock.errors import (
    LockLost,
    LossReason,
    NotHeld,
    Unavailable,
)
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs

KEY = f"{NAME}/.lock"


def test_a_release_without_an_answer_is_repeated_and_costs_the_session() -> None:
    """A ghost of it would release what the session holds next."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.failures.extend([Unavailable("no answer came")])
    driver.release(lock)
    assert driver.held() == {}
    pool = lock.client.pool
    assert not pool._idle
    assert len(pool.to_destroy) == 1


def test_a_release_after_the_deadline_says_that_it_was_lost_and_sends_nothing() -> None:
    """The keeper was stopped along with us: what counts is the clock."""
    told = list[LossReason]()
    driver = FakeDriver()
    lock = driver.lock(on_lost=told.append)
    driver.acquire(lock)
    assert lock.hold is not None
    lost, session = lock.lost("me"), lock.hold.session
    driver.requests()
    driver.world.advance(28.6)
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is LossReason.DEADLINE
    assert (told, lost.is_set(), driver.requests()) == ([LossReason.DEADLINE], True, [])
    assert session.id in lock.client.pool.to_destroy
    with pytest.raises(NotHeld):
        driver.release(lock)


def test_a_release_that_was_certainly_not_carried_out_hides_no_loss() -> None:
    """It was refused with a 429, and then somebody took the lock away."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    flow = lock.release("me").flow
    driver.until(flow, lambda request: "unlock" in verbs(request))
    operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    with pytest.raises(LockLost):
        driver.run_from(flow, Unavailable("slow down", uncertain=False, status=429))
