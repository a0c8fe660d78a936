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
from tests.unit.protocol.fake_driver import NAME, Hand, verbs

KEY = f"{NAME}/.lock"


def test_a_release_without_an_answer_is_repeated_and_costs_the_session() -> None:
    """A ghost of it would release what the session holds next."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    hand.failures.extend([Unavailable("no answer came")])
    hand.release(lock)
    assert hand.held() == {}
    pool = lock.client.pool
    assert not pool._idle
    assert len(pool.to_destroy) == 1


def test_a_release_after_the_deadline_says_that_it_was_lost_and_sends_nothing() -> None:
    """The keeper was stopped along with us: what counts is the clock."""
    told = list[LossReason]()
    hand = Hand()
    lock = hand.lock(on_lost=told.append)
    hand.acquire(lock)
    assert lock.hold is not None
    lost, session = lock.lost("me"), lock.hold.session
    hand.requests()
    hand.world.advance(28.6)
    with pytest.raises(LockLost) as caught:
        hand.release(lock)
    assert caught.value.reason is LossReason.DEADLINE
    assert (told, lost.is_set(), hand.requests()) == ([LossReason.DEADLINE], True, [])
    assert session.id in lock.client.pool.to_destroy
    with pytest.raises(NotHeld):
        hand.release(lock)


def test_a_release_that_was_certainly_not_carried_out_hides_no_loss() -> None:
    """It was refused with a 429, and then somebody took the lock away."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    flow = lock.release("me").flow
    hand.until(flow, lambda request: "unlock" in verbs(request))
    operator(hand.world, f"/v1/kv/{KEY}", "DELETE")
    with pytest.raises(LockLost):
        hand.run_from(flow, Unavailable("slow down", uncertain=False, status=429))
