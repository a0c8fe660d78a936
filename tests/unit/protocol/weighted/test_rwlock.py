"""A read/write lock: who excludes whom, and a writer that becomes a reader."""

from __future__ import annotations

import pytest

from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.weighted.rwlock import ReadWriteCore
from consul_lock.errors import LockLost, LossReason, NotHeld
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import waits
from tests.unit.protocol.weighted_driver import WeightedDriver


@pytest.mark.parametrize(
    "held, wanted, free",
    [
        ("reader", "reader", True),
        ("reader", "writer", False),
        ("writer", "reader", False),
        ("writer", "writer", False),
    ],
)
@pytest.mark.parametrize("same", [True, False], ids=["one client", "two clients"])
def test_readers_are_in_together_and_a_writer_alone(
    held: str, wanted: str, free: bool, same: bool
) -> None:
    """Also inside one process."""
    driver = WeightedDriver()
    client = driver.client()
    settings = Settings(terms.session_options())
    one = ReadWriteCore(client, "a/b", settings)
    two = one if same else ReadWriteCore(driver.client("b"), "a/b", settings)
    assert driver.acquire(getattr(one, held))
    assert driver.acquire(getattr(two, wanted), timeout=0, owner="other") is free


def test_a_downgrade_admits_the_readers_that_wait_and_no_writer() -> None:
    """In one write, with no moment in which it is neither; a second time it does nothing."""
    driver = WeightedDriver()
    lock, reader, writer = driver.writer(), driver.reader(), driver.writer()
    driver.acquire(lock)
    for waiter in (reader, writer):
        driver.until(waiter.acquire(True, None, "me").flow, waits)
    assert lock.hold is not None
    driver.requests()
    driver.run(lock.downgrade(0.0, "me"))
    assert driver.requests() == ["GET kv/a/b/.lock", "PUT txn"]
    (inside,) = driver.holders_in_documents().values()
    assert inside == {lock.hold.session.id} | driver.sessions_of(reader.client)
    driver.run(lock.downgrade(0.0, "me"))
    assert driver.requests() == []


def test_a_downgrade_lets_readers_of_this_process_in() -> None:
    """They wait in the local queue, where it weighs no more than they do from then on."""
    driver = WeightedDriver()
    both = ReadWriteCore(driver.client(), "a/b", Settings(terms.session_options()))
    driver.acquire(both.writer)
    assert not driver.acquire(both.reader, timeout=0, owner="other")
    driver.run(both.writer.downgrade(0.0, "me"))
    assert driver.acquire(both.reader, timeout=0, owner="other")
    assert not driver.acquire(both.writer, timeout=0, owner="third")


def test_what_was_downgraded_is_released_as_a_reader() -> None:
    """Nothing is left, and a writer gets in."""
    driver = WeightedDriver()
    lock = driver.writer()
    driver.acquire(lock)
    driver.run(lock.downgrade(0.0, "me"))
    driver.release(lock)
    assert driver.held() == {}
    assert driver.acquire(driver.writer(), timeout=0)


def test_a_downgrade_finds_out_that_the_lock_is_lost() -> None:
    """And raises it; of what nobody holds there is nothing to downgrade."""
    driver = WeightedDriver()
    lock = driver.writer()
    with pytest.raises(NotHeld):
        driver.run(lock.downgrade(0.0, "me"))
    driver.acquire(lock)
    assert lock.hold is not None
    operator(driver.world, f"/v1/session/destroy/{lock.hold.session.id}")
    with pytest.raises(LockLost) as caught:
        driver.run(lock.downgrade(0.0, "me"))
    assert caught.value.reason is LossReason.SESSION_INVALID
