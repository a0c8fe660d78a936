"""Several locks at once, whole: what it costs, and callers of one process."""

from __future__ import annotations

import pytest

from consul_lock._protocol.flow import Wait
from consul_lock.errors import (
    AlreadyHeld,
)
from tests.unit.protocol.fake_driver import hold_of
from tests.unit.protocol.multilock_driver import (
    FEW,
    MANY,
    A,
    B,
    C,
    MultiLockDriver,
)


@pytest.mark.parametrize("count, reads", [(32, 0), (33, 1), (64, 1)])
def test_nobody_in_the_way(count: int, reads: int) -> None:
    """One transaction takes them, one gives them back; of many, each after a look."""
    driver = MultiLockDriver()
    lock = driver.multilock(*MANY[:count])
    assert driver.acquire(lock)
    assert driver.owned(lock)
    taking = ["PUT txn"] * (reads + 1)
    assert driver.requests() == ["PUT session/create", "PUT session/renew", *taking]
    entries = driver.world._server.kv.entries
    assert {entries[key].modify_index for key in lock.keys} == {hold_of(lock).token}
    driver.release(lock)
    assert driver.requests() == taking
    assert driver.held() == {}
    assert driver.acquire(lock)
    assert driver.requests() == taking


def test_the_value_of_each_key_says_who_holds_it() -> None:
    """A plain lock of that name asks for it with `holder()`."""
    driver = MultiLockDriver()
    lock = driver.multilock(meta={"job": "count"})
    driver.acquire(lock)
    for name in FEW:
        found = driver.run(driver.lock(name=name).holder())
        assert (found.host, found.meta) == ("a", {"job": "count"})


def test_nobody_waits_for_what_it_holds_itself() -> None:
    """Neither a single one of the names, nor all of them, in either order."""
    driver = MultiLockDriver()
    client = driver.client()
    lock, plain = driver.multilock(client=client), driver.lock(client, B)
    driver.acquire(plain)
    with pytest.raises(AlreadyHeld):
        driver.acquire(lock)
    assert not driver.acquire(lock, timeout=0)
    driver.release(plain)
    driver.acquire(lock)
    for each in (lock, plain, driver.multilock(C, client=client)):
        with pytest.raises(AlreadyHeld):
            driver.acquire(each)
        assert not driver.acquire(each, timeout=0)


def test_callers_that_want_the_same_names_queue_in_the_process() -> None:
    """Whatever order they name them in: one of them at a time asks Consul."""
    driver = MultiLockDriver()
    client = driver.client()
    lock, same = driver.multilock(A, B, client=client), driver.multilock(B, A, client=client)
    driver.acquire(lock)
    flow = same.acquire(True, None, "another").flow
    waiting, _ = driver.drive(flow, 0)
    assert isinstance(waiting, Wait)
    driver.release(lock)
    assert driver.run_after(flow, waiting)


def test_waiting_for_one_name_keeps_nobody_of_this_process_from_another() -> None:
    """Otherwise it would hold a place and wait for one, and those who nest locks would hang."""
    driver = MultiLockDriver()
    client = driver.client()
    driver.acquire(driver.lock(driver.client("b"), B))
    driver.queue_up(driver.multilock(client=client))
    assert driver.acquire(driver.lock(client, A), timeout=0, owner="another")
    assert driver.acquire(driver.multilock(C, client=client), timeout=0, owner="a third")
