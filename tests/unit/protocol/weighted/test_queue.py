"""Waiting to get into documents: a place in each queue, and changes that cross on the way."""

from __future__ import annotations

import pytest

from consul_lock._protocol.flow import Request
from consul_lock.errors import Conflict
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import waits
from tests.unit.protocol.weighted_driver import WeightedDriver, leaves


def test_a_waiter_whose_key_was_deleted_has_one_place_in_all_queues() -> None:
    """Its other keys are made anew, too: with a later place in one queue only, two waiters
    could each be behind the other."""
    driver = WeightedDriver()
    driver.acquire_all(driver.rival(driver.tree()))
    lock = driver.tree()
    flow = lock.acquire(True, None, "me").flow
    waiting = driver.until(flow, waits)
    first = driver.in_queue(lock)
    assert len(first) == 3
    operator(driver.world, f"/v1/kv/{min(first)}", "DELETE")
    driver.until(flow, waits, after=waiting)
    again = driver.in_queue(lock)
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


def test_a_waiter_for_more_than_there_is_now_gets_an_error() -> None:
    """It would wait for what cannot come; and it leaves the queue."""
    driver = WeightedDriver()
    rival = driver.semaphore()
    driver.acquire_all(rival)
    lock = driver.semaphore()
    flow = lock.acquire(True, None, "me", 2).flow
    waiting = driver.until(flow, waits)
    assert driver.in_queue(lock)
    driver.run(rival.resize(1))
    with pytest.raises(Conflict) as raised:
        driver.until(flow, waits, after=waiting)
    assert raised.value.limit == 1
    assert not driver.in_queue(lock)


def test_only_the_first_waiter_watches_the_document() -> None:
    """All others watch the key of the one before them, so that a change wakes few."""
    driver = WeightedDriver()
    driver.acquire_all(driver.semaphore())
    watched = []
    for label in "abc":
        waiter = driver.semaphore(driver.client(label))
        watching = driver.until(waiter.acquire(True, None, "me").flow, waits)
        watched.append(watching.path)
        last = f"/v1/kv/slots/{driver.sessions_of(waiter.client).pop()}"
        watched.append(last)
    first, a, second, b, third, _ = watched
    assert (first, second, third) == ("/v1/kv/slots/", a, b)


def test_a_waiter_that_gives_up_waits_no_longer_than_it_may() -> None:
    """The blocking read ends with its time, and it leaves the queue."""
    driver = WeightedDriver()
    driver.acquire_all(driver.semaphore())
    lock, begun = driver.semaphore(), driver.world.now
    flow = lock.acquire(True, 3.0, "me").flow
    watching = driver.until(flow, waits)
    assert watching.wait == 3.0
    assert driver.run_after(flow, watching) is False
    assert driver.world.now - begun == pytest.approx(3.0, abs=0.3)
    assert not driver.in_queue(lock)


def test_an_index_that_went_backwards_is_not_waited_for() -> None:
    """Of a restored snapshot: the read after it asks with the index that was seen."""
    driver = WeightedDriver()
    driver.acquire_all(driver.semaphore())
    flow = driver.semaphore().acquire(True, None, "me").flow
    watching = driver.until(flow, waits)
    params = tuple(each for each in watching.params if each[0] == "recurse")
    found = driver.perform(watching._replace(params=params))
    older = flow.send(found._replace(raft_index=1))
    while not (isinstance(older, Request) and waits(older)):
        older = driver.go_on(flow, older)
    assert dict(older.params)["index"] == "1"
