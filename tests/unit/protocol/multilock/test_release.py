"""Releasing several locks: all at one moment, and nothing of others."""

from __future__ import annotations

import pytest

from consul_lock._protocol.flow import Request
from consul_lock._protocol.multilock.release import withdraw
from consul_lock.errors import (
    LockLost,
    LossReason,
    Refused,
)
from tests.unit.protocol.fake_driver import hold_of
from tests.unit.protocol.multilock_driver import (
    FEW,
    KEYS,
    MANY,
    NO_ANSWER,
    B,
    C,
    MultiLockDriver,
    Sharing,
    each_reason,
    each_size,
    lose,
    releasing,
)


def test_the_first_waiter_for_one_of_them_gets_it_when_all_are_released() -> None:
    """It watches the key, which is gone then."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    driver.acquire(lock)
    plain = driver.lock(driver.client("b"), C)
    flow, watching = driver.queue_up(plain)
    driver.when_blocked = lambda: driver.release(lock)
    assert driver.run_after(flow, watching)
    assert set(driver.held()) & set(KEYS.values()) == {KEYS[C]}


@each_size
@each_reason
def test_the_release_finds_the_loss_of_any_of_them(
    names: tuple[str, ...], reason: LossReason
) -> None:
    """Nothing of others is deleted, and nothing of the loser is left."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    driver.acquire(lock)
    thief = lose(driver, lock, lock.keys[-1], reason)
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is reason
    assert set(driver.held().values()) <= {thief, ""}
    assert (thief in driver.held().values()) is (thief is not None)


def test_releasing_is_seen_by_everybody_at_one_moment() -> None:
    """There is one write that gives them back."""
    driver = MultiLockDriver()
    for names in (FEW, MANY):
        lock = driver.multilock(*names)
        driver.acquire(lock)
        driver.sent.clear()
        driver.release(lock)
        assert sum(map(releasing, driver.sent)) == 1


@each_size
def test_a_release_that_came_through_unanswered_is_no_loss(names: tuple[str, ...]) -> None:
    """Nor is what somebody else does with the keys afterwards."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    driver.acquire(lock)
    flow = lock.release("me").flow
    driver.world.submit(driver.until(flow, releasing))
    driver.acquire(driver.lock(driver.client("b"), C))
    driver.run_from(flow, NO_ANSWER)
    assert list(driver.held()) == [KEYS[C]]
    assert hold_of(lock).session.gone


@each_size
def test_a_release_that_never_arrived_finds_a_loss_all_the_same(names: tuple[str, ...]) -> None:
    """All are released or none: one that is gone by itself was lost."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    driver.acquire(lock)
    flow = lock.release("me").flow
    driver.until(flow, releasing)
    driver.delete(KEYS[B])
    with pytest.raises(LockLost) as caught:
        driver.run_from(flow, NO_ANSWER)
    assert caught.value.reason is LossReason.KEY_DELETED
    assert set(driver.held().values()) == {""}


def test_a_key_of_many_that_is_written_while_it_is_released() -> None:
    """The read is out of date: it is repeated, but not for ever."""
    driver = MultiLockDriver()
    lock = driver.multilock(*MANY)
    driver.acquire(lock)
    flow = lock.release("me").flow
    effect: Request = driver.until(flow, releasing)
    for number in range(3):
        driver.put(KEYS[C], number)
        effect = driver.until(flow, releasing, after=effect)
    driver.run_after(flow, effect)
    assert driver.held() == {}


def test_a_key_of_many_that_is_written_again_and_again() -> None:
    """The release fails, and its clean-up ends the session."""
    driver = MultiLockDriver()
    lock = driver.multilock(*MANY)
    driver.acquire(lock)
    writes = iter(range(1000))
    driver.after = lambda request: operator_writes(driver, next(writes))
    job = lock.release("me")
    with pytest.raises(Refused, match="index is stale"):
        driver.run(job)
    assert job.undo is not None
    driver.run(job.undo())
    assert set(driver.held().values()) == {""}
    assert hold_of(lock).session.gone


def operator_writes(driver: MultiLockDriver, number: int) -> None:
    if driver.held().get(KEYS[C]):
        driver.put(KEYS[C], number)


def test_a_withdrawal_leaves_what_other_locks_have_with_the_same_session() -> None:
    """The keys show the session, and it is not this attempt's as long as it is outside."""
    shared = Sharing()
    driver = shared.driver
    attempt = shared.several.attempt("me", True)
    attempt.session = driver.run(shared.several.session_for(attempt))
    driver.acquire(shared.single, owner="one")
    assert driver.run(withdraw(shared.several, attempt, [attempt.session])) == []
    assert driver.held() == {KEYS[B]: attempt.session.id}
