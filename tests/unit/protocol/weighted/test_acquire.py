"""Getting into the documents of a semaphore, a read/write lock or a tree lock."""

from __future__ import annotations

import pytest

from consul_lock._protocol.flow import Wait
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from consul_lock.errors import AlreadyHeld, Conflict
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import verbs, waits
from tests.unit.protocol.weighted_driver import WeightedDriver, changing

DEAD = "0b1d3c1e-55c1-7a39-3e12-5a4a5e0f7f11"
each_kind = pytest.mark.parametrize("kind", ["semaphore", "writer", "reader", "tree"])


@each_kind
def test_an_uncontended_acquire_is_a_look_and_a_write(kind: str) -> None:
    """With the session at hand; the token is the index of that write, on all keys."""
    driver = WeightedDriver()
    lock = getattr(driver, kind)()
    driver.acquire(lock)
    driver.release(lock)
    driver.requests()
    assert driver.acquire(lock)
    assert [request.wait for request in driver.sent] == [0.0, 0.0]
    entries = driver.world._server.kv.entries.values()
    assert {entry.modify_index for entry in entries} == {lock.hold.token}
    assert lock.hold.contended is False


@each_kind
def test_one_who_may_not_wait_leaves_nothing_when_it_is_full(kind: str) -> None:
    """It does not join the queue, and writes nothing."""
    driver = WeightedDriver()
    lock = getattr(driver, kind)()
    driver.acquire_all(driver.writer() if kind == "reader" else driver.rival(lock))
    before = driver.held()
    driver.sent.clear()
    assert driver.run(lock.acquire(False, None, "me")) is False
    assert driver.held() == before
    assert not any(map(changing, driver.sent))


def test_a_waiter_lets_in_those_behind_it_for_whom_there_is_room() -> None:
    """In its own write: nobody else shows them that slots have become free."""
    driver = WeightedDriver()
    settings = Settings(terms.session_options(3600.0, 5.0))
    holder, first, second = (
        SemaphoreCore(driver.client(label), "slots", 2, settings) for label in "abc"
    )
    driver.acquire_all(holder)
    flow = first.acquire(True, None, "me").flow
    watching = driver.until(flow, waits)
    driver.until(second.acquire(True, None, "me").flow, waits)
    assert holder.hold is not None
    for session in holder.hold.sessions:
        operator(driver.world, f"/v1/session/destroy/{session.id}")
    driver.world.advance(5.0)
    assert driver.run_after(flow, watching)
    (inside,) = driver.holders_in_documents().values()
    assert inside == driver.sessions_of(first.client) | driver.sessions_of(second.client)


def test_what_the_dead_have_left_goes_with_the_write_that_enters() -> None:
    """The key of one who died while it waited guards nothing."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    flags = lock.targets()[0].kind.flags
    operator(driver.world, f"/v1/kv/slots/{DEAD}?flags={flags}", body=b"{}")
    driver.acquire(lock)
    assert f"slots/{DEAD}" not in driver.held()
    assert lock.hold is not None
    assert lock.hold.contended  # somebody was there, so the release looks


@pytest.mark.parametrize("joined", [False, True])
def test_another_limit_is_a_conflict_for_who_comes_and_followed_by_who_waits(
    joined: bool,
) -> None:
    """A waiter joined when the limit was its own; it was changed since, for all."""
    driver = WeightedDriver()
    holder = driver.semaphore()
    driver.acquire_all(holder)
    lock = driver.semaphore(driver.client("b"))
    flow = lock.acquire(True, None, "me").flow
    if joined:
        watching = driver.until(flow, waits)
        driver.run(holder.resize(3))
        assert driver.run_after(flow, watching)
        assert lock.limit == 3
    else:
        driver.run(holder.resize(3))
        with pytest.raises(Conflict) as caught:
            driver.run(flow)
        assert (caught.value.limit, caught.value.wanted) == (3, 2)
        assert lock.limit == 2


@each_kind
def test_a_key_that_is_used_for_something_else_is_left_alone(kind: str) -> None:
    """Nothing is written."""
    driver = WeightedDriver()
    lock = getattr(driver, kind)()
    operator(driver.world, f"/v1/kv/{lock.key}?flags=7", body=b"precious")
    with pytest.raises(Conflict):
        driver.acquire(lock)
    assert list(driver.held()) == [lock.key]
    assert not any(map(changing, driver.sent))


def test_a_holder_of_a_part_may_overtake_those_who_wait() -> None:
    """They may be waiting for that part: behind them it would wait for itself."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    driver.acquire(lock)
    waiter = driver.semaphore(driver.client("b"))
    driver.until(waiter.acquire(True, None, "other", 2).flow, waits)
    assert not driver.acquire(driver.semaphore(driver.client("c")), timeout=0)
    assert driver.acquire(lock, timeout=0)


def test_a_caller_does_not_wait_for_what_it_holds_itself() -> None:
    """A semaphore is another thing: one acquires it, and its workers release it."""
    driver = WeightedDriver()
    lock = driver.writer()
    driver.acquire(lock)
    with pytest.raises(AlreadyHeld):
        driver.acquire(lock)
    slots = driver.semaphore()
    driver.run(slots.acquire(True, None, "me", 2))
    waiting, _ = driver.drive(slots.acquire(True, None, "me").flow, 0)
    assert isinstance(waiting, Wait)


def test_if_one_of_its_sessions_has_died_it_begins_anew_with_all() -> None:
    """They enter together, so none of them is of any use alone."""
    driver = WeightedDriver()
    driver.acquire_all(holder := driver.semaphore())
    lock = driver.semaphore(driver.client("b"))
    flow = lock.acquire(True, None, "me", 2).flow
    watching = driver.until(flow, waits)
    before = driver.sessions_of(lock.client)
    operator(driver.world, f"/v1/session/destroy/{min(before)}")
    driver.when_blocked = lambda: driver.run(holder.release("other"))
    assert driver.run_after(flow, watching)
    assert lock.hold is not None
    ids = {session.id for session in lock.hold.sessions}
    assert len(ids) == 2
    assert not ids & before
    assert driver.traces() == ids


def test_one_who_may_not_wait_gives_up_when_others_are_quicker_each_time() -> None:
    """It is as if it had come a moment later."""
    driver = WeightedDriver()
    refusal = b'{"Errors": [{"OpIndex": 0, "What": "index is stale"}]}'
    driver.instead = lambda request: (409, refusal) if "cas" in verbs(request) else None
    assert driver.acquire(driver.semaphore(), timeout=0) is False
    assert 2 <= sum("cas" in verbs(request) for request in driver.sent) <= 10
