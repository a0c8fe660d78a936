"""A watch, played by hand: what is reported of each change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.consul.models import ReadResult
from consul_lock._protocol.flow import Request
from consul_lock._protocol.keys import SEMAPHORE_FLAG
from consul_lock._protocol.survey.status import Status
from consul_lock.errors import PermissionDenied, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, waits
from tests.unit.protocol.survey.survey_driver import KEY, survey


def following(driver: FakeDriver, timeout: float | None = None) -> Callable[[], Status | None]:
    """Each call is the next step of a watch."""
    lookout = survey(driver).lookout(NAME, timeout)
    return lambda: driver.run(lookout.next())


def events(driver: FakeDriver, name: str = NAME, timeout: float | None = None) -> Callable[[], Any]:
    """Each call is the next step of a watch for changes."""
    lookout = survey(driver).lookout_below(name, timeout)

    def step() -> Any:
        news = driver.run(lookout.news())
        return news and [(change.what, change.status.name, change.status.state) for change in news]

    return step


def test_every_status_is_shown_once() -> None:
    """As it is now, then what differs; a poll without news shows nothing."""
    driver = FakeDriver()
    lock, step = driver.lock(), following(driver)
    assert step().state == "free"
    driver.when_blocked = lambda: driver.acquire(lock)
    assert step().holders[0].host == "a"

    def in_the_next_poll() -> None:
        driver.when_blocked = lambda: driver.release(lock)

    driver.when_blocked = in_the_next_poll
    begun = driver.world.now
    assert step().state == "free"
    assert driver.world.now >= begun + 10


@pytest.mark.parametrize("name", [NAME, "jobs/", ""])
def test_acquired_and_released(name: str) -> None:
    """Of one name, below a prefix, and of all there is."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    step = events(driver, name)
    assert step() == [("held", NAME, "held")]
    driver.when_blocked = lambda: driver.release(lock)
    assert step() == [("released", NAME, "free")]
    assert driver.sent[-1].path.startswith("/v1/session/info/")  # alive: that says it all
    driver.when_blocked = lambda: driver.acquire(lock)
    assert step() == [("acquired", NAME, "held")]

    def again() -> None:
        driver.release(lock)
        driver.acquire(lock)

    driver.when_blocked = again
    news = step()
    if len(news) == 1:
        news += step()  # it was seen in between
    assert [what for what, _, _ in news] == ["released", "acquired"]


def test_a_loss_is_distinguished_from_a_release() -> None:
    """By the session: it has ended with the key, or after it."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    step = events(driver)
    step()

    def session() -> str:
        assert lock.hold is not None
        return lock.hold.session.id

    driver.when_blocked = lambda: operator(driver.world, f"/v1/session/destroy/{session()}")
    assert step() == [("lost", NAME, "free")]
    lock = driver.lock(driver.client("b"))
    driver.world.advance(60)
    driver.when_blocked = lambda: driver.acquire(lock)
    assert step() == [("acquired", NAME, "held")]

    def leave_for_good() -> None:
        ours = session()
        driver.release(lock)
        operator(driver.world, f"/v1/session/destroy/{ours}")

    driver.when_blocked = leave_for_good
    assert step() == [("released", NAME, "free")]


def test_a_slot_that_vanishes_is_lost() -> None:
    """Its holder is in the document still, without a key; its removal later is no news."""
    driver = FakeDriver()
    driver.acquire(other := driver.lock(name="other"))
    assert other.hold is not None
    id_ = other.hold.session.id
    take = f"/v1/kv/{NAME}/{id_}?acquire={id_}&flags={SEMAPHORE_FLAG}"
    operator(driver.world, take, body=b"")

    def write(document: bytes) -> None:
        operator(driver.world, f"/v1/kv/{KEY}?flags={SEMAPHORE_FLAG}", body=document)

    write(f'{{"Limit":2,"Holders":{{"{id_}":true}}}}'.encode())
    step = events(driver, timeout=50)
    assert step() == [("held", NAME, "held")]

    def die() -> None:
        operator(driver.world, f"/v1/session/destroy/{id_}")
        operator(driver.world, "/v1/session/create")  # so its end is not the last of all

    driver.when_blocked = die
    assert step() == [("lost", NAME, "vanished")]
    driver.when_blocked = lambda: write(b'{"Limit":2,"Holders":{}}')
    assert step() is None


def test_an_old_picture_is_not_believed() -> None:
    """A deposed leader of the servers may show one: its index is below what was seen."""
    driver = FakeDriver()
    driver.acquire(driver.lock())
    lookout = survey(driver).lookout_below("jobs/", None)
    driver.run(lookout.news())
    flow = lookout._following()
    blocked = driver.until(flow, waits)
    assert ("consistent", "1") not in blocked.params
    again = driver.next_of(flow, ReadResult(driver.world.now, 1, ()))
    assert isinstance(again, Request)
    assert ("consistent", "1") in again.params
    assert again.wait == 0


def test_a_watch_ends_in_time() -> None:
    """After one look at least, whatever the time."""
    driver = FakeDriver()
    step = following(driver, timeout=25)
    assert step().state == "free"
    begun = driver.world.now
    assert step() is None
    assert 25 <= driver.world.now - begun < 30
    step = following(driver, timeout=0)
    assert step().state == "free"
    assert step() is None


def test_errors_are_ridden_out_for_a_while() -> None:
    """They are no change; then they are raised, and no later than the time is over."""
    driver = FakeDriver()
    lock, step = driver.lock(), following(driver)
    step()
    driver.failures.extend([Unavailable("one"), Unavailable("two")])
    driver.when_blocked = lambda: driver.acquire(lock)
    assert step().state == "held"
    begun = driver.world.now
    driver.failures.extend([Unavailable("down")] * 1000)
    with pytest.raises(Unavailable, match="down"):
        step()
    assert 30 <= driver.world.now - begun < 31
    step, begun = following(driver, timeout=3), driver.world.now
    with pytest.raises(Unavailable, match="down"):
        step()
    assert 3 <= driver.world.now - begun < 5


def test_a_denied_read_is_raised_at_once() -> None:
    """An ACL does not change by waiting."""
    driver = FakeDriver()
    driver.failures.append(PermissionDenied("no"))
    with pytest.raises(PermissionDenied):
        following(driver)()


def test_an_end_that_cannot_be_asked_about_is_a_release() -> None:
    """No alarm without proof."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    step = events(driver)
    step()

    def end() -> None:
        assert lock.hold is not None
        operator(driver.world, f"/v1/session/destroy/{lock.hold.session.id}")
        # The read of the picture is answered, the question about the session is not.
        driver.failures.extend([None, PermissionDenied("no")])

    driver.when_blocked = end
    assert step() == [("released", NAME, "free")]
    assert driver.sent[-1].path.startswith("/v1/session/info/")
