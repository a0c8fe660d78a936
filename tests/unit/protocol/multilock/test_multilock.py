"""Several locks at once: all or nothing, played by hand."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.lock.decision import LockState
from consul_lock._protocol.multilock.attempt import read_keys, stand
from consul_lock._protocol.multilock.base import keys_of_names
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import ConfigError, Conflict, LockTimeout
from tests.unit.protocol.multilock_driver import (
    FEW,
    KEYS,
    MANY,
    A,
    B,
    C,
    MultiLockDriver,
    hold_of,
    locking,
)

each_size = pytest.mark.parametrize("names", [FEW, MANY], ids=["few", "many"])


# -- names


@pytest.mark.parametrize(
    "names, says",
    [
        ([], "empty"),
        ("jobs", "one string"),
        (["a", ""], "bad name"),
        (["a", 7], "bad name"),
        (["a", "b", "a"], "twice"),
        (["a", "a/b"], "above"),
        (["x/y/z", "x"], "above"),
        ([str(number) for number in range(65)], "65 names"),
    ],
)
def test_names_that_cannot_be_held_together_are_refused(names: list[str], says: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError, match=says):
        keys_of_names(names)


def test_names_are_above_each_other_by_whole_elements_only() -> None:
    """`a` is not above `ab`, nor are two of one folder."""
    assert [lock.name for lock in keys_of_names(["a", "ab/c", "ab/d"])] == ["a", "ab/c", "ab/d"]


def test_what_it_is_called() -> None:
    """By all names, shortened if there are many; its key is the first one."""
    driver = MultiLockDriver()
    few, many = driver.multilock(), driver.multilock(*MANY)
    assert few.name == "stock/apples, stock/pears, other"
    assert few.keys == tuple(KEYS.values())
    assert few.key == KEYS[A]
    assert many.name.startswith("stock/apples, ")
    assert many.name.endswith("(64 names)")
    assert len(many.name) <= 120


# -- what is sent


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


# -- somebody in the way


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


def test_who_comes_too_late_is_told_so_even_if_all_are_free_by_then() -> None:
    """The error is about what was asked for, not about what is known by now."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    driver.acquire(other := driver.lock(driver.client("b"), B))
    driver.destroy(other.hold.session.id if other.hold else "")
    with pytest.raises(LockTimeout, match="all are free just now, or in lock-delay") as caught:
        driver.run(lock.enter(2.0, "me"))
    assert (caught.value.key, caught.value.holder) == (lock.key, None)


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


def test_it_goes_on_waiting_while_a_line_hands_the_lock_on() -> None:
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


def test_who_heads_the_line_of_one_of_them_gets_it_when_all_are_released() -> None:
    """It watches the key, which is gone then."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    driver.acquire(lock)
    plain = driver.lock(driver.client("b"), C)
    flow, watching = driver.queue_up(plain)
    driver.when_blocked = lambda: driver.release(lock)
    assert driver.run_after(flow, watching)
    assert set(driver.held()) & set(KEYS.values()) == {KEYS[C]}


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
def test_what_is_used_for_something_else_is_left_alone(names: tuple[str, ...]) -> None:
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


def test_who_is_outrun_again_and_again_makes_pauses() -> None:
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


# -- reading


def test_keys_that_come_and_go_are_read_one_by_one_in_the_end() -> None:
    """One moment at which all can be read cannot be had: others never leave the time for it."""
    driver = MultiLockDriver()
    client = driver.client()

    def flip(request: object) -> None:
        if KEYS[B] in driver.held():
            driver.delete(KEYS[B])
        else:
            driver.put(KEYS[B], LOCK_FLAG)

    driver.put(KEYS[A], LOCK_FLAG)
    assert set(driver.run(read_keys(client, list(KEYS.values())))) == {KEYS[A]}
    assert len(driver.sent) == 2
    driver.sent.clear()
    driver.after = flip
    assert KEYS[A] in driver.run(read_keys(client, list(KEYS.values())))
    assert [request.method for request in driver.sent] == ["PUT"] * 4 + ["GET"] * 3
    assert all(("consistent", "") in request.params for request in driver.sent[:4])


@pytest.mark.parametrize(
    "owners, alone, verdict",
    [
        ([None, None], True, LockState.FREE),
        (["", None], True, LockState.FREE),
        (["mine", "mine"], True, LockState.OURS),
        (["mine", None], True, LockState.OURS),
        (["mine", "other"], True, LockState.OURS),
        (["mine", "mine"], False, LockState.TAKEN),
        ([None, "mine"], False, LockState.TAKEN),
        (["", "other"], True, LockState.TAKEN),
    ],
)
def test_where_one_stands(owners: list[str | None], alone: bool, verdict: LockState) -> None:
    """What a shared session has is ours only if no other lock of this process can have it."""
    pairs = {
        key: Pair(key, b"", LOCK_FLAG, owner, 1, 2)
        for key, owner in zip("ab", owners, strict=True)
        if owner is not None
    }
    where = stand("ab", pairs, Session("mine", session_options(), None), alone=alone)
    assert where.verdict is verdict
    assert (where.pair is not None) is (verdict is LockState.TAKEN)
