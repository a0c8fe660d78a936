"""A lock that was handed over and is not confirmed yet."""

from __future__ import annotations

from consul_lock._protocol.holder import Holder, parse_holder
from consul_lock._protocol.lock.lock import LockCore
from tests.unit.protocol.fake_driver import NAME, FakeDriver, waits

KEY = f"{NAME}/.lock"


def handed_over(driver: FakeDriver, **settings: object) -> tuple[LockCore, float]:
    """A lock that was handed to its waiter, and when the read before the one that showed it was
    sent."""
    holder, waiter = driver.lock(), driver.lock(driver.client("b"), **settings)
    driver.acquire(holder)
    flow, watching = driver.queue_up(waiter)
    asked = driver.world.now
    watching = driver.until(flow, waits, after=watching)
    assert driver.world.now > asked

    def release() -> None:
        driver.world.advance(0.5)
        driver.release(holder)

    driver.when_blocked = release
    assert driver.run_after(flow, watching) is True
    return waiter, asked


def said(driver: FakeDriver) -> Holder:
    """Who holds it, by the key."""
    entry = driver.world._server.kv.entries[KEY]
    return parse_holder(entry.session, entry.value, entry.modify_index)
