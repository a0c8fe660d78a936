"""A release: what it gives back, and how it finds that the lock was lost."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Identity
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import (
    LockLost,
    LossReason,
    NotHeld,
    Unavailable,
)
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, hold_of, verbs

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
    """The keeper was stopped with the process: what counts is the clock."""
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


def test_a_lock_that_is_not_held_is_not_released() -> None:
    """Never acquired, or released before; nothing is sent."""
    driver = FakeDriver()
    lock = driver.lock()
    for _ in range(2):
        driver.requests()
        with pytest.raises(NotHeld) as caught:
            driver.release(lock)
        assert (caught.value.kind, driver.requests()) == ("not-held", [])
        driver.acquire(lock)
        driver.release(lock)


def lost(driver: FakeDriver, lock: LockCore) -> None:
    """It is acquired and lost, which is found at once."""
    driver.acquire(lock)
    driver.run(lock.client.lose(hold_of(lock), LossReason.STOLEN))
    driver.requests()


def test_a_loss_is_raised_by_the_release_of_its_owner_once() -> None:
    """Another thread that releases it learns of the loss, too, and takes nothing from the owner."""
    driver = FakeDriver()
    lock = driver.lock()
    lost(driver, lock)
    for owner in ("you", "me"):
        with pytest.raises(LockLost) as caught:
            driver.release(lock, owner=owner)
        assert caught.value.reason is LossReason.STOLEN
    with pytest.raises(NotHeld):
        driver.release(lock)
    assert driver.requests() == []


def test_a_release_in_a_forked_child_only_warns() -> None:
    """The parent holds it, and goes on."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    lock.client.forked(driver, Identity({"host": "child", "pid": 2}, "child"))
    driver.requests()
    with pytest.warns(RuntimeWarning, match="held by the parent of this process"):
        driver.release(lock)
    assert driver.requests() == []
    assert KEY in driver.held()


@pytest.mark.parametrize("shared", [False, True])
def test_a_loss_that_the_release_finds_ends_the_session_unless_others_share_it(
    shared: bool,
) -> None:
    """A late write of this client could take the lock with it."""
    driver = FakeDriver()
    client = driver.client()
    borrowed = SharedSession(client, session_options()) if shared else None
    lock, beside = driver.lock(client, shared=borrowed), driver.lock(client, "b", shared=borrowed)
    driver.acquire(lock)
    driver.acquire(beside)
    operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    with pytest.raises(LockLost):
        driver.release(lock)
    assert (hold_of(lock).session.id in driver.sessions()) is shared
    assert hold_of(beside).counts(driver.world.now)


def test_a_shared_session_in_doubt_is_ended_after_the_release() -> None:
    """Others lose their locks with it, which is the price of sharing."""
    driver = FakeDriver()
    client = driver.client()
    shared = SharedSession(client, session_options())
    lock, beside = (driver.lock(client, name, shared=shared) for name in ("a", "b"))
    driver.acquire(lock)
    driver.acquire(beside)
    driver.failures.append(Unavailable("no answer came"))
    driver.release(lock)
    assert driver.sessions() == set()
    assert hold_of(beside).reason is LossReason.SESSION_INVALID


@pytest.mark.parametrize("contended", [False, True])
def test_a_release_remembers_whether_others_wanted_the_lock(contended: bool) -> None:
    """Then the next acquire reads before it writes."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    if contended:
        driver.queue_up(driver.lock(driver.client("b")))
    driver.release(lock)
    assert lock.client.contended(lock.key) is contended


def test_a_session_goes_back_to_the_pool_with_the_time_of_the_release() -> None:
    """And the turn to the next of the process."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    begun, driver.slow_by = driver.world.now, 2.0
    driver.release(lock)
    session = hold_of(lock).session
    assert (session.borrower, session.idle_since) == (None, begun)
    assert not lock.client.local_queues._queues


def test_a_release_after_a_deadline_that_was_seen_to_pass_reports_the_loss() -> None:
    """Though an answer, which was on its way, has moved it away since: the body may have stopped,
    and another one may have held it."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    hold = hold_of(lock)
    assert hold.late(hold.deadline())
    hold.mark_alive(20.0)
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is LossReason.DEADLINE
