"""An acquire: the turn inside the process, then Consul, then it counts."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.flow import Flow, Request, Spawn, Wait
from consul_lock._protocol.lock.lock import LockCore
from consul_lock.errors import AlreadyHeld, Refused, Unavailable
from tests.unit.protocol.fake_driver import FakeDriver, hold_of, verbs
from tests.unit.protocol.weighted_driver import WeightedDriver


def behind(driver: FakeDriver, lock: LockCore, timeout: float | None) -> tuple[Flow[Any], Wait]:
    """An acquire that waits behind another thread's attempt."""
    flow = lock.acquire(True, timeout, "me").flow
    effect, _ = driver.drive(flow, 0)
    assert isinstance(effect, Wait)
    return flow, effect


def begin(driver: FakeDriver, lock: LockCore) -> tuple[Flow[Any], Request]:
    """Another thread's attempt, about to be granted."""
    flow = lock.acquire(True, None, "you").flow
    return flow, driver.until(flow, lambda request: "lock" in verbs(request))


# -- inside the process


def test_one_who_waits_behind_another_thread_sends_nothing_and_ends_in_time() -> None:
    """And leaves its place."""
    driver = FakeDriver()
    lock = driver.lock()
    begin(driver, lock)
    driver.requests()
    begun = driver.world.now
    flow, wait = behind(driver, lock, 2.5)
    assert wait.timeout == 2.5
    assert driver.run_after(flow, wait) is False
    assert (driver.world.now - begun, driver.requests()) == (2.5, [])
    (queue,) = lock.client.local_queues._queues.values()
    assert (len(queue.occupants), queue.waiting) == (1, [])


def test_a_turn_that_comes_after_the_end_of_patience_is_an_error() -> None:
    """As of those before it: Consul has not answered this client for ``retry_for`` seconds."""
    driver = FakeDriver()
    lock = driver.lock()
    begin(driver, lock)
    waiting, wait = behind(driver, lock, None)
    lock.client.contact.failed(driver.world.now, Unavailable("away", kind="x"))
    driver.world.advance(30.0)
    wait.signal.set()
    for attempt in lock.client.local_queues._queues[lock.key].waiting:
        lock.client.local_queues._admit(attempt)
    with pytest.raises(Unavailable) as caught:
        driver.run_after(waiting, wait)
    assert caught.value.kind == "x"


@pytest.mark.parametrize("timeout, error", [(None, AlreadyHeld), (5.0, None), (0.0, None)])
def test_only_a_wait_without_end_for_the_own_lock_is_refused(
    timeout: float | None, error: type[Exception] | None
) -> None:
    """With a timeout another thread may release it meanwhile, and a try is answered."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.requests()
    if error is None:
        assert driver.acquire(lock, timeout=timeout) is False
    else:
        with pytest.raises(error, match="deadlock") as caught:
            driver.acquire(lock, timeout=timeout)
        assert caught.value.key == lock.key  # type: ignore[attr-defined] # an error of this library
    assert driver.requests() == []
    driver.acquire(driver.lock(lock.client, "another"))
    driver.release(lock)


def test_a_semaphore_is_acquired_by_one_and_released_by_others() -> None:
    """So its caller may wait for what it holds itself."""
    driver = WeightedDriver()
    slots = driver.semaphore()
    for _ in range(2):
        driver.run(slots.acquire(True, None, "me"))
    effect, _ = driver.drive(slots.acquire(True, None, "me").flow, 0)
    assert isinstance(effect, Wait)


# -- in Consul


def test_a_grant_whose_time_is_over_is_given_back_and_the_acquire_goes_on() -> None:
    """The process was stopped before it could begin: another one may hold it by now."""
    driver = FakeDriver()
    lock = driver.lock()
    flow, request = begin(driver, lock)
    stale = next(iter(driver.sessions()))
    answer = driver.perform(request)
    driver.world.advance(60.0)
    effect = driver.next_of(flow, answer)
    assert driver.run_after(flow, effect) is True
    assert hold_of(lock).session.id != stale
    assert stale not in driver.sessions()
    assert len(lock.client.holds) == 1


def test_an_error_that_patience_cannot_mend_ends_the_acquire() -> None:
    """A refusal that is not temporary, at once; what it borrowed is left to its undo."""
    driver = FakeDriver()
    lock = driver.lock()
    flow, _ = begin(driver, lock)
    begun = driver.world.now
    with pytest.raises(Refused):
        driver.run_from(flow, Refused("no"))
    assert driver.world.now == begun


def test_one_that_was_in_vain_gives_its_session_back() -> None:
    """Nothing of it belongs to the call any more; the next one uses it."""
    driver = FakeDriver()
    lock, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(other)
    for _ in range(3):
        assert driver.acquire(lock, timeout=0) is False
    (session,) = lock.client.pool.live.values()
    assert session.borrower is None
    assert not lock.client.local_queues._queues


@pytest.mark.parametrize("watched", [False, True])
def test_the_flows_that_run_beside_a_hold(watched: bool) -> None:
    """A keeper and a watchdog for each client, and a long poll where a loss is to be seen soon."""
    driver = FakeDriver()
    lock = driver.lock(watch=watched)
    flow, names = lock.acquire(True, None, "me").flow, list[str]()
    effect = next(flow)
    while True:
        if isinstance(effect, Spawn):
            names.append(effect.name)
        try:
            effect = flow.send(driver.perform(effect))
        except StopIteration:
            break
    beside = ["consul-lock-keeper", "consul-lock-watchdog"]
    assert names == [*beside, *(["consul-lock-watch"] if watched else [])]


def test_the_keeper_is_to_read_the_queue_behind_a_lock_that_was_handed_over() -> None:
    """Soon, so that the release need not; what nobody else wanted has no queue."""
    driver = FakeDriver()
    lock, other = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(other)
    assert not other.client.to_look
    driver.when_blocked = lambda: driver.release(other)
    lock.client.wake.clear()
    driver.acquire(lock)
    hold = hold_of(lock)
    assert list(lock.client.to_look) == [hold]
    assert hold.look_at is not None
    assert 0.0 < hold.look_at - driver.world.now < 0.1
    assert lock.client.wake.is_set()


def test_a_closed_client_begins_nothing() -> None:
    """Nothing is sent."""
    driver = FakeDriver()
    lock = driver.lock()
    lock.client.begin_to_close()
    with pytest.raises(Unavailable, match="closed"):
        driver.acquire(lock)
    assert driver.requests() == []
