"""A session in doubt that ends after a call without an error: it leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Flow, Request
from consul_lock._protocol.hold.cleanup import PAUSE
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.session.timing import session_options
from tests.unit.protocol.fake_driver import FakeDriver, hold_of, verbs
from tests.unit.protocol.weighted_driver import NO_ANSWER, WeightedDriver, leaves


def _joins(request: Request) -> bool:
    return "get-tree" in verbs(request)


def _locks(request: Request) -> bool:
    return "lock" in verbs(request)


def _reads(request: Request) -> bool:
    return request.method == "GET"


class Waiting:
    """A waiter whose request to join was carried out and not answered.  Its time is over with the
    answer that another holds the lock: it is about to end its session."""

    def __init__(self) -> None:
        driver = self.driver = FakeDriver()
        self.holder = driver.lock(driver.client("holder"))
        driver.acquire(self.holder)
        self.flow: Flow[bool] = driver.lock().acquire(True, 2.0, "me").flow
        driver.world.submit(driver.until(self.flow, _joins))
        driver.slow_by = 2.0
        self.effect = driver.until(self.flow, _reads, after=self.flow.throw(NO_ANSWER))
        self.effect = self.flow.send(driver.perform(self.effect))

    def gives_up(self) -> bool:
        """Whether it does."""
        return not self.driver.run_after(self.flow, self.effect)


def test_a_waiter_that_gives_up_in_doubt_leaves_the_queue() -> None:
    """Nobody else may come for long, and see that it is gone."""
    waiting = Waiting()
    assert waiting.gives_up()
    assert list(waiting.driver.held()) == [waiting.holder.key]


def test_a_waiter_that_is_handed_the_lock_as_it_gives_up_in_doubt_releases_it() -> None:
    """Others have it at once, and not after a lock-delay."""
    waiting = Waiting()
    driver, holder = waiting.driver, waiting.holder
    hold_of(holder).contended = True
    driver.release(holder)
    assert driver.held() != {}
    assert waiting.gives_up()
    assert driver.acquire(driver.lock(driver.client("another")), timeout=0)


def lock_with_a_shared_session(driver: WeightedDriver) -> LockCore:
    client = driver.client()
    return driver.lock(client, shared=SharedSession(client, session_options()))


KINDS: tuple[Callable[[WeightedDriver], Lockable], ...] = (
    WeightedDriver.lock,
    lock_with_a_shared_session,
    WeightedDriver.semaphore,
    WeightedDriver.writer,
    WeightedDriver.tree,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_late_try_does_not_keep_what_was_released(
    kind: Callable[[WeightedDriver], Lockable],
) -> None:
    """Its answer was lost, and the next try has succeeded: the session is in doubt still, and ends
    after the release."""
    driver = WeightedDriver()
    lock = kind(driver)
    acquiring, releasing = lock.acquire(True, None, "me").flow, lock.release("me").flow
    late = driver.until(acquiring, _locks)
    driver.run_from(acquiring, NO_ANSWER)
    effect = driver.until(releasing, leaves)
    with suppress(StopIteration):
        effect = driver.go_on(releasing, effect)
        driver.world.submit(late)
        driver.run_after(releasing, effect)
    driver.world.submit(late)
    for _ in range(2):
        driver.run(lock.client.pool.sweep(driver.world.now))
        for attempt in lock.client.cleanups.due(driver.world.now):
            driver.run(lock.client.cleanups.clear(attempt))
        driver.world.advance(PAUSE)
    assert (driver.held(), lock.client.cleanups.times()) == ({}, [])
    assert driver.run(kind(driver).acquire(False, None, "me"))
