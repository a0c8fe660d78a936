"""Acquiring several locks: all of them or none, whatever is in the way."""

from __future__ import annotations

import pytest

from consul_lock._protocol.flow import Batch, Request
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.errors import (
    Conflict,
    LockTimeout,
)
from tests.unit.protocol.fake_driver import hold_of
from tests.unit.protocol.multilock_driver import (
    KEYS,
    MANY,
    NO_ANSWER,
    B,
    C,
    MultiLockDriver,
    each_size,
    locking,
    unanswered,
)


@each_size
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_is_taken_refuses_all(names: tuple[str, ...], place: int) -> None:
    """Nothing is held meanwhile, and it says which one."""
    driver = MultiLockDriver()
    other = driver.lock(driver.client("b"), names[place])
    driver.acquire(other)
    lock = driver.multilock(*names)
    assert not driver.acquire(lock, timeout=0)
    assert list(driver.held()) == [other.key]
    with pytest.raises(LockTimeout, match=f"'{names[place]}' is held by b pid 1") as caught:
        driver.run(lock.enter(2.0, "me"))
    assert 2 <= driver.world.now < 2.2
    assert caught.value.key == other.key
    assert caught.value.holder.host == "b"
    assert list(driver.run(lock.holders())) == [names[place]]
    assert driver.run(lock.holder()).host == "b"
    assert driver.run(lock.waiters()) == []


@each_size
def test_it_watches_the_one_in_its_way_and_then_takes_all(names: tuple[str, ...]) -> None:
    """Holding nothing and being in no line, it reads once more and tries again."""
    driver = MultiLockDriver()
    other = driver.lock(driver.client("b"), B)
    driver.acquire(other)
    lock = driver.multilock(*names)
    driver.acquire(lock, timeout=0)  # from here on it knows that it reads before it writes
    flow, watching = driver.queue_up(lock)
    assert watching.path == f"/v1/kv/{other.key}"
    assert not any(locking(request) for request in driver.sent[-2:])
    assert list(driver.held()) == [other.key]
    driver.when_blocked = lambda: driver.release(other)
    driver.sent.clear()
    assert driver.run_after(flow, watching)
    assert driver.owned(lock)
    assert [request.method for request in driver.sent if locking(request)] == ["PUT"]


def test_it_goes_on_waiting_while_a_queue_hands_the_lock_on() -> None:
    """It may be overtaken; the next holder is watched without another look at all keys."""
    driver = MultiLockDriver()
    first, second = (driver.lock(driver.client(label), B) for label in "bc")
    driver.acquire(first)
    lock = driver.multilock()
    flow, watching = driver.queue_up(lock)
    waiting, line = driver.queue_up(second)
    driver.when_blocked = lambda: driver.release(first)
    again = driver.go_on(flow, driver.go_on(flow, watching))  # it asks for the time before
    assert again.path == f"/v1/kv/{KEYS[B]}"
    assert again.wait > 0
    assert driver.run_after(waiting, line)
    driver.sent.clear()
    driver.when_blocked = lambda: driver.release(second)
    assert driver.run_after(flow, again)
    assert driver.owned(lock)


def test_an_index_that_went_backwards_is_not_waited_for() -> None:
    """Of a restored snapshot; all is read again."""
    driver = MultiLockDriver()
    driver.acquire(driver.lock(driver.client("b"), B))
    flow, watching = driver.queue_up(driver.multilock())
    seen = driver.perform(watching._replace(params=()))
    older = seen.pair._replace(modify_index=1)
    reading = driver.next_of(flow, seen._replace(raft_index=1, pairs=(older,)))
    assert reading.path == "/v1/txn"


@each_size
def test_a_key_that_somebody_left_behind_is_taken_and_taken_away(names: tuple[str, ...]) -> None:
    """Go's client leaves an unlocked key with the flags of a lock."""
    driver = MultiLockDriver()
    driver.put(KEYS[B], LOCK_FLAG)
    lock = driver.multilock(*names)
    assert driver.run(lock.holders()) == {}
    assert driver.acquire(lock, timeout=9)
    assert driver.owned(lock)
    driver.release(lock)
    assert driver.held() == {}
    driver.sent.clear()
    assert driver.acquire(lock)
    assert sum(request.path == "/v1/txn" for request in driver.sent) == (2 if names is MANY else 1)


@each_size
def test_a_key_that_is_used_for_something_else_is_left_alone(names: tuple[str, ...]) -> None:
    """Conflict, with the key and its flags; nothing is locked."""
    driver = MultiLockDriver()
    driver.put(KEYS[B], 42)
    with pytest.raises(Conflict, match=r'value "by hand", flags 42') as caught:
        driver.acquire(driver.multilock(*names))
    assert (caught.value.key, caught.value.flags) == (KEYS[B], 42)
    assert list(driver.held()) == [KEYS[B]]


@each_size
def test_a_lock_delay_is_sat_out(names: tuple[str, ...]) -> None:
    """Nothing announces its end: it is tried again and again, but not without a pause."""
    driver = MultiLockDriver()
    other = driver.lock(driver.client("b"), C)
    driver.acquire(other)
    assert other.hold is not None
    driver.destroy(other.hold.session.id)
    begun = driver.world.now
    lock = driver.multilock(*names)
    assert not driver.acquire(lock, timeout=0)
    assert not driver.acquire(lock, timeout=4.7)
    assert driver.world.now - begun == pytest.approx(4.7)
    driver.sent.clear()
    assert driver.acquire(lock, timeout=100)
    assert 30 <= driver.world.now - begun < 31.5
    assert 25 < sum(map(locking, driver.sent)) < 60


def test_a_session_that_died_in_the_pool_is_replaced() -> None:
    """Its death is not known before it is used."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    driver.acquire(lock)
    driver.release(lock)
    driver.destroy(*driver.sessions())
    assert driver.acquire(lock, timeout=0)
    assert driver.owned(lock)


def test_a_waiter_that_is_outrun_again_and_again_makes_pauses() -> None:
    """All look free, and one is taken before it writes: each refusal is a Raft write."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    hurdles = [driver.lock(driver.client(f"b{number}"), B) for number in range(3)]

    flow = lock.acquire(True, None, "me").flow
    effect = driver.until(flow, locking)
    for place, hurdle in enumerate(hurdles):
        driver.acquire(hurdle)
        before = driver.world.now
        effect = driver.go_on(flow, effect)
        driver.release(hurdle)
        effect = driver.until(flow, locking, after=effect)
        assert (driver.world.now > before) is (place > 0)
    assert driver.run_after(flow, effect)


@each_size
@pytest.mark.parametrize("answered", [True, False])
def test_one_whose_holder_dies_between_the_read_and_the_write_is_in_lock_delay(
    names: tuple[str, ...], answered: bool
) -> None:
    """Consul asks for the lock-delay when it admits a write, and carries it out later: many locks
    leave no room to check that none was acquired since, so that is seen afterwards."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    driver.acquire(lock)
    driver.release(lock)
    other = driver.lock(driver.client("b"), names[1])
    flow = lock.acquire(True, None, "me").flow
    effect = driver.until(flow, locking)
    driver.acquire(other)
    driver.tampered = True
    driver.world.raft = 0.5
    session = other.hold.session.id if other.hold else ""
    driver.world.submit(Request("PUT", f"/v1/session/destroy/{session}", {}, None, lambda r: r))
    if answered:
        effect = driver.go_on(flow, effect)
    else:
        driver.world.submit(effect)
        effect = flow.throw(NO_ANSWER)
    driver.world.raft = 0.0
    assert driver.run_after(flow, effect)
    assert driver.world.now >= 15.0
    assert driver.owned(lock)


@each_size
def test_a_try_that_came_through_unanswered_is_accepted(names: tuple[str, ...]) -> None:
    """A consistent read shows it; the session ends with the hold, as ghosts may come still."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    flow = unanswered(driver, lock)
    driver.sent.clear()
    assert driver.run_from(flow, NO_ANSWER)
    assert not any(map(locking, driver.sent))
    assert driver.owned(lock)
    entries = driver.world._server.kv.entries
    assert {entries[key].modify_index for key in lock.keys} == {hold_of(lock).token}
    driver.release(lock)
    assert driver.held() == {}
    assert hold_of(lock).session.gone


@each_size
def test_a_try_that_never_arrived_is_repeated(names: tuple[str, ...]) -> None:
    """Only its answer shows that all is well."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    flow = lock.acquire(True, None, "me").flow
    driver.until(flow, locking)
    assert driver.run_from(flow, NO_ANSWER)
    assert sum(map(locking, driver.sent)) == 1
    assert driver.owned(lock)


def test_a_waiter_that_wakes_up_as_the_holder_renews_before_it_counts() -> None:
    """It was paused: its session may have died in the meantime, and others have had the locks."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    flow = unanswered(driver, lock)
    (session,) = driver.sessions()
    effect = flow.throw(NO_ANSWER)
    reading = driver.until(flow, lambda request: request.path == "/v1/txn", after=effect)
    seen = driver.perform(driver.go_on(flow, reading))  # at the second try: the keys are there
    driver.world.advance(60.0)
    asking = driver.next_of(flow, seen)
    assert isinstance(asking, Batch)
    assert asking.requests[0].path == f"/v1/session/renew/{session}"
    assert driver.run_after(flow, asking)
    assert hold_of(lock).session.id != session


@each_size
def test_a_try_whose_keys_somebody_changed_is_not_believed(
    names: tuple[str, ...],
) -> None:
    """They came together, so with one of them gone none is safe: the session ends."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    flow = unanswered(driver, lock)
    (session,) = driver.sessions()
    driver.delete(KEYS[B])
    begun = driver.world.now
    assert driver.run_from(flow, NO_ANSWER)
    assert driver.owned(lock)
    assert hold_of(lock).session.id != session
    assert driver.world.now - begun > 30.0, "the others are in lock-delay"
