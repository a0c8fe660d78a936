"""Several locks at once: their names, what proves a hold, and why it is lost."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.multilock.base import keys_of_names
from consul_lock.errors import (
    ConfigError,
    LockLost,
    LockTimeout,
    LossReason,
)
from tests.unit.protocol.fake_driver import hold_of
from tests.unit.protocol.multilock_driver import (
    KEYS,
    MANY,
    A,
    B,
    C,
    MultiLockDriver,
    each_reason,
    each_size,
    lose,
)


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


def test_its_name_in_messages() -> None:
    """By all names, shortened if there are many; its key is the first one."""
    driver = MultiLockDriver()
    few, many = driver.multilock(), driver.multilock(*MANY)
    assert few.name == "stock/apples, stock/pears, other"
    assert few.keys == tuple(KEYS.values())
    assert few.key == KEYS[A]
    assert many.name.startswith("stock/apples, ")
    assert many.name.endswith("(64 names)")
    assert len(many.name) <= 120


def test_a_call_that_comes_too_late_times_out_even_if_all_are_free_by_then() -> None:
    """The error is about what was asked for, not about what is known by now."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    driver.acquire(other := driver.lock(driver.client("b"), B))
    driver.destroy(other.hold.session.id if other.hold else "")
    with pytest.raises(LockTimeout, match="all are free just now, or in lock-delay") as caught:
        driver.run(lock.enter(2.0, "me"))
    assert (caught.value.key, caught.value.holder) == (lock.key, None)


@each_size
@each_reason
def test_the_keeper_sees_the_loss_of_any_of_them(
    names: tuple[str, ...], reason: LossReason
) -> None:
    """One is lost, so all are: the session ends, and with it the others."""
    driver = MultiLockDriver()
    told: list[LossReason] = []
    lock = driver.multilock(*names, on_lost=told.append)
    driver.acquire(lock)
    thief = lose(driver, lock, lock.keys[2], reason)
    driver.world.advance(4)
    driver.drive(Keeper(lock.client).run(), 40)
    assert told == [reason]
    assert hold_of(lock).state is State.LOST
    assert set(driver.held().values()) <= {thief, ""}
    with pytest.raises(LockLost) as caught:
        driver.release(lock)
    assert caught.value.reason is reason


@each_size
def test_a_value_that_somebody_wrote_is_no_loss(names: tuple[str, ...]) -> None:
    """The session still has the key, which goes with the others."""
    driver = MultiLockDriver()
    lock = driver.multilock(*names)
    driver.acquire(lock)
    driver.put(KEYS[B], 0)
    driver.drive(Keeper(lock.client).run(), 40)
    assert hold_of(lock).state is State.HELD
    driver.release(lock)
    assert driver.held() == {}


def test_the_long_poll_is_about_the_first_key() -> None:
    """A read of it that shows the holder, or a read of all, is no loss."""
    driver = MultiLockDriver()
    lock = driver.multilock()
    driver.acquire(lock)
    hold = hold_of(lock)
    found = driver.run(lock.look(hold, 0, 0.0))
    assert driver.run(lock.examine(hold, found, None)) is None
    assert driver.run(lock.examine(hold, None, None)) is None
    driver.delete(KEYS[C])
    assert driver.run(lock.examine(hold, found, None)) is None
    assert driver.run(lock.examine(hold, None, None)) is LossReason.KEY_DELETED
    driver.delete(KEYS[A])
    found = driver.run(lock.look(hold, 0, 0.0))
    assert driver.run(lock.examine(hold, found, None)) is LossReason.KEY_DELETED
    driver.take(KEYS[A])
    found = driver.run(lock.look(hold, 0, 0.0))
    assert driver.run(lock.examine(hold, found, None)) is LossReason.STOLEN


@pytest.mark.parametrize("count, requests", [(32, 1), (33, 0)])
def test_the_farewell_frees_all_or_is_left_to_the_end_of_the_session(
    count: int, requests: int
) -> None:
    """Of more keys than half as many as Consul takes operations there is no room for it."""
    driver = MultiLockDriver()
    lock = driver.multilock(*MANY[:count])
    driver.acquire(lock)
    farewell = lock.farewell(hold_of(lock).session)
    assert len(farewell) == requests
    for request in farewell:
        driver.perform(request)
    assert bool(driver.held()) is not bool(requests)
