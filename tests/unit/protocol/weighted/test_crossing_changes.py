"""Two changes of one document cross: what was read before the other one decides nothing."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.flow import Request
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock.errors import Conflict
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import verbs
from tests.unit.protocol.weighted_driver import WeightedDriver


def waits(request: Request) -> bool:
    """Whether it is a blocking read."""
    return request.wait > 0


def leaves(request: Request) -> bool:
    """Whether it takes somebody out of a queue, or out of a document."""
    return bool({"delete", "delete-cas"} & set(verbs(request)))


def in_queue(driver: WeightedDriver, lock: WeightedCore) -> dict[str, Any]:
    """The contender keys of one that waits, and what Consul knows of each."""
    mine = driver.sessions_of(lock.client)
    entries = driver.world._server.kv.entries
    return {key: entry for key, entry in entries.items() if entry.session in mine}


def test_a_waiter_whose_key_was_deleted_has_one_place_in_all_queues() -> None:
    """Its other keys are made anew, too: with a later place in one queue only, two waiters
    could each be behind the other."""
    driver = WeightedDriver()
    driver.acquire_all(driver.rival(driver.tree()))
    lock = driver.tree()
    flow = lock.acquire(True, None, "me").flow
    waiting = driver.until(flow, waits)
    first = in_queue(driver, lock)
    assert len(first) == 3
    operator(driver.world, f"/v1/kv/{min(first)}", "DELETE")
    driver.until(flow, waits, after=waiting)
    again = in_queue(driver, lock)
    assert again.keys() == first.keys()
    assert len({entry.create_index for entry in again.values()}) == 1


def test_a_waiter_that_gives_up_just_as_it_is_let_in_holds_it() -> None:
    """Its leaving is refused: the document would list a holder that believes it has nothing."""
    driver = WeightedDriver()
    driver.acquire_all(driver.rival(driver.writer()))
    lock = driver.writer()
    flow = lock.acquire(True, 3.0, "me").flow
    leaving = driver.until(flow, leaves)
    driver.rivals_leave()
    assert driver.run_after(flow, leaving)
    assert set().union(*driver.holders_in_documents().values()) == driver.sessions_of(lock.client)


def test_a_waiter_that_left_and_came_back_is_not_let_in_before_those_who_stayed() -> None:
    """Its session is the same, and its place another one: who releases has to look again."""
    driver = WeightedDriver()
    rival = driver.rival(driver.semaphore())
    driver.acquire_all(rival)
    lock, other = driver.semaphore(), driver.semaphore(driver.client("b"))
    first = lock.acquire(True, 3.0, "me", 2).flow
    waiting = driver.until(first, waits)
    before = in_queue(driver, lock)
    driver.until(other.acquire(True, None, "me", 2).flow, waits)
    release = rival.release("other").flow
    releasing = driver.until(release, leaves)
    assert not driver.run_after(first, waiting)
    driver.until(lock.acquire(True, None, "me", 2).flow, waits)
    assert in_queue(driver, lock).keys() == before.keys()
    driver.run_after(release, releasing)
    assert set().union(*driver.holders_in_documents().values()) == driver.sessions_of(other.client)


def test_a_waiter_is_told_that_there_is_less_now_than_it_waits_for() -> None:
    """It would wait for what cannot come; and it leaves the queue."""
    driver = WeightedDriver()
    rival = driver.semaphore()
    driver.acquire_all(rival)
    lock = driver.semaphore()
    flow = lock.acquire(True, None, "me", 2).flow
    waiting = driver.until(flow, waits)
    assert in_queue(driver, lock)
    driver.run(rival.resize(1))
    with pytest.raises(Conflict) as raised:
        driver.until(flow, waits, after=waiting)
    assert raised.value.limit == 1
    assert not in_queue(driver, lock)
