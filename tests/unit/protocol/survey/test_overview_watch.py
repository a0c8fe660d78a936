"""A watch of all below a prefix, played by hand: what is shown, and how often Consul is read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consul_lock._protocol.consul.models import ReadResult
from consul_lock._protocol.flow import Request
from consul_lock._protocol.survey.read import Overview
from consul_lock.errors import PermissionDenied, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, waits
from tests.unit.protocol.survey.survey_driver import survey


def following(driver: FakeDriver, timeout: float | None = None) -> Callable[[], Overview | None]:
    """Each call is the next step of a watch."""
    lookout = survey(driver).lookout_over("jobs", timeout)
    return lambda: driver.run(lookout.next())


def write_elsewhere(driver: FakeDriver) -> None:
    operator(driver.world, "/v1/kv/other", body=b"x")


def test_every_overview_is_shown_once() -> None:
    """As it is now, then what differs; what happens elsewhere shows nothing."""
    driver = FakeDriver()
    lock, step = driver.lock(), following(driver)
    assert step() == Overview([], [])

    def acquire_later() -> None:
        write_elsewhere(driver)
        driver.when_blocked = lambda: driver.acquire(lock)

    driver.when_blocked = acquire_later
    found = step()
    assert found is not None
    assert [(each.name, each.state) for each in found.locks] == [(NAME, "held")]
    driver.when_blocked = lambda: driver.release(lock)
    found = step()
    assert found is not None
    assert not any(each.held for each in found.locks)


def test_consul_is_read_once_a_second_at_most() -> None:
    """Also where a blocking read ends at once, again and again, as on a key that is missing."""
    driver = FakeDriver()
    step = following(driver, timeout=20)
    driver.instead = lambda request: (200, b"[]")
    assert step() == Overview([], [])
    begun = driver.world.now
    assert step() is None
    assert 20 <= driver.world.now - begun <= 21
    assert 2 <= len(driver.sent) <= 22


def test_each_read_is_shown_to_one_who_asks_for_that() -> None:
    """Also one without news, so that it is known that Consul answers; not more often for that."""
    driver = FakeDriver()
    lookout = survey(driver).lookout_over("jobs", 20, repeat=True)
    driver.instead = lambda request: (200, b"[]")
    begun, shown = driver.world.now, 0
    while driver.run(lookout.next()) is not None:
        shown += 1
    assert shown == len(driver.sent)
    assert 2 <= shown <= driver.world.now - begun + 1


def test_an_overview_that_is_stale_is_not_believed() -> None:
    """A deposed leader of the servers may show one: its index is below what was seen."""
    driver = FakeDriver()
    driver.acquire(driver.lock())
    lookout = survey(driver).lookout_over("", None)
    driver.run(lookout.next())
    flow = lookout._next()
    driver.until(flow, waits)
    again = driver.next_of(flow, ReadResult(driver.world.now, 1, ()))
    while not isinstance(again, Request):
        again = driver.next_of(flow, driver.world.now)
    assert ("consistent", "1") in again.params


def test_errors_are_retried_for_a_while() -> None:
    """They are no change; a token that may not read is refused at once."""
    driver = FakeDriver()
    lock, step = driver.lock(), following(driver)
    step()
    driver.failures.extend([Unavailable("one"), Unavailable("two")])
    driver.when_blocked = lambda: driver.acquire(lock)
    assert step() is not None
    begun = driver.world.now
    driver.failures.extend([Unavailable("down")] * 1000)
    with pytest.raises(Unavailable, match="down"):
        step()
    assert 30 <= driver.world.now - begun < 33
    driver.failures.clear()
    driver.failures.append(PermissionDenied("no"))
    with pytest.raises(PermissionDenied):
        following(driver)()
