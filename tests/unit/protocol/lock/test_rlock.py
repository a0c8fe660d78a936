"""The re-entrant lock, played by hand: who is counted, what is sent, and how a loss is reported."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.flow import Job
from consul_lock._protocol.lock.rlock import RLockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import AlreadyHeld, ConfigError, LockLost, LossReason, NotHeld
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver

KEY = f"{NAME}/.lock"


def rlock(driver: FakeDriver, client: ClientCore | None = None) -> RLockCore:
    asked = Settings(terms.session_options())
    return RLockCore(client or driver.client(), names.keys_of_name(NAME), asked)


def held(times: int = 1) -> tuple[FakeDriver, RLockCore]:
    """A lock that "me" has acquired so many times; what was sent is forgotten."""
    driver = FakeDriver()
    lock = rlock(driver)
    for _ in range(times):
        assert driver.acquire(lock) is True
    driver.requests()
    return driver, lock


def lose(driver: FakeDriver, lock: RLockCore) -> None:
    """Somebody deletes the key, and the keeper finds it out."""
    operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    assert lock.hold is not None
    driver.run(lock.client.lose(lock.hold, LossReason.KEY_DELETED))


def leave(driver: FakeDriver, lock: RLockCore, *, failed: bool) -> None:
    """The end of a ``with`` block."""
    driver.run(lock.leave("me", ZeroDivisionError() if failed else None))


# -- counting


def test_only_the_first_acquire_and_the_last_release_send_anything() -> None:
    """Inner acquires are counted, and have the same token."""
    driver, lock = held()
    hold = lock.hold
    for count in (2, 3):
        assert driver.acquire(lock) is True
        assert lock.count("me") == count
    for count in (2, 1):
        driver.release(lock)
        assert lock.count("me") == count
    assert driver.requests() == []
    assert lock.hold is hold
    assert KEY in driver.held()
    driver.release(lock)
    assert driver.requests() == ["PUT txn"]
    assert (lock.count("me"), driver.held()) == (0, {})


def test_a_try_that_may_not_wait_is_counted_too() -> None:
    """Its owner never has to wait."""
    driver, lock = held()
    assert driver.acquire(lock, timeout=0.0) is True
    assert lock.count("me") == 2


@pytest.mark.parametrize("timeout", [-3, "5", float("nan")])
def test_a_nonsense_timeout_is_refused_even_if_nobody_waits(timeout: Any) -> None:
    """The same call does not change its mind with the state of the lock; nothing is counted."""
    _, lock = held()
    with pytest.raises(ConfigError, match="timeout="):
        lock.acquire(True, timeout, "me")
    assert lock.count("me") == 1


def test_each_hold_is_counted_anew() -> None:
    """After the last release everything begins with one."""
    driver, lock = held(times=2)
    driver.release(lock)
    driver.release(lock)
    driver.acquire(lock)
    assert lock.count("me") == 1
    driver.release(lock)
    assert driver.held() == {}


def test_somebody_else_is_not_counted_and_does_not_release() -> None:
    """NotHeld, which names who could; the lock stays held."""
    driver, lock = held(times=2)
    with pytest.raises(NotHeld, match="by 'me'"):
        driver.release(lock, owner="you")
    assert (lock.count("you"), lock.count("me")) == (0, 2)
    assert driver.acquire(lock, timeout=0.0, owner="you") is False
    assert KEY in driver.held()


def test_releasing_once_too_often_is_not_held() -> None:
    """The last release was the last."""
    driver, lock = held(times=2)
    for _ in range(2):
        driver.release(lock)
    with pytest.raises(NotHeld):
        driver.release(lock)


def test_another_object_of_the_same_name_is_another_lock() -> None:
    """Re-entrant is an object, not a name: to wait for oneself is an error as ever."""
    driver, lock = held()
    with pytest.raises(AlreadyHeld):
        driver.acquire(rlock(driver, lock.client))


# -- losing


def test_a_lost_lock_is_not_acquired_again_before_it_is_released() -> None:
    """That would be to pretend that the blocks around were still protected."""
    driver, lock = held(times=2)
    lose(driver, lock)
    driver.requests()
    for timeout in (None, 0.0):
        with pytest.raises(LockLost):
            driver.acquire(lock, timeout)
    assert lock.count("me") == 2
    assert driver.requests() == []


def test_a_hold_past_its_deadline_is_lost_though_nothing_has_reported_it() -> None:
    """No network is needed for that, and no keeper."""
    driver, lock = held()
    driver.world.advance(40.0)
    with pytest.raises(LockLost) as caught:
        driver.acquire(lock)
    assert caught.value.reason is LossReason.DEADLINE


def test_every_release_of_a_lost_lock_says_so_until_the_last() -> None:
    """As many as there were acquires; then it is as good as new."""
    driver, lock = held(times=3)
    lose(driver, lock)
    for count in (2, 1, 0):
        with pytest.raises(LockLost) as caught:
            driver.release(lock)
        assert caught.value.reason is LossReason.KEY_DELETED
        assert lock.count("me") == count
    with pytest.raises(NotHeld):
        driver.release(lock)
    assert driver.acquire(lock) is True
    assert lock.count("me") == 1


def test_a_loss_that_only_the_last_release_finds_is_raised_by_that() -> None:
    """The inner ones ask nobody: they cannot know."""
    driver, lock = held(times=2)
    operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    driver.release(lock)
    with pytest.raises(LockLost):
        driver.release(lock)


def test_blocks_that_an_exception_leaves_do_not_replace_it() -> None:
    """The LockLost of the inner block goes through the outer ones as it is."""
    driver, lock = held(times=3)
    lose(driver, lock)
    with pytest.raises(LockLost):
        leave(driver, lock, failed=False)
    leave(driver, lock, failed=True)
    assert lock.count("me") == 1
    leave(driver, lock, failed=True)
    assert lock.count("me") == 0
    assert driver.acquire(lock) is True


def test_an_outer_block_around_a_swallowed_loss_raises_it_at_its_own_end() -> None:
    """What it did after the loss was not protected, either."""
    driver, lock = held(times=2)
    lose(driver, lock)
    for _ in range(2):
        with pytest.raises(LockLost):
            leave(driver, lock, failed=False)


def test_the_loss_of_one_owner_is_not_the_next_ones() -> None:
    """Each gets answers about its own hold."""
    driver, lock = held(times=2)
    lose(driver, lock)
    first = lock.hold
    assert driver.acquire(lock, owner="you") is True
    assert (lock.count("me"), lock.count("you")) == (2, 1)
    assert lock.current("me") is first
    assert lock.current("you") is lock.hold is lock.current("anybody")
    with pytest.raises(LockLost):
        driver.acquire(lock)
    for _ in range(2):
        with pytest.raises(LockLost):
            driver.release(lock)
    with pytest.raises(NotHeld, match="by 'you'"):
        driver.release(lock)
    driver.release(lock, owner="you")
    assert lock._levels == {}
    assert driver.held() == {}


def test_a_forked_child_is_somebody_else() -> None:
    """It has to wait for its parent, and what it acquires itself is counted anew."""
    driver, lock = held(times=2)
    lock.client.forked(driver, driver.client("child").identity)
    assert lock.count("me") == 0
    assert driver.acquire(lock, timeout=0.0) is False
    with pytest.warns(RuntimeWarning, match="parent"):
        driver.release(lock)
    operator(driver.world, f"/v1/kv/{KEY}", "DELETE")
    assert driver.acquire(lock) is True
    assert lock.count("me") == 1
    driver.release(lock)
    assert driver.held() == {}


# -- cut off


def _cut(driver: FakeDriver, job: Job, place: int) -> bool:
    """End a job before one of its effects, as Ctrl-C would; False: it came to its own end."""
    effect, _ = driver.drive(job.flow, place)
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    return effect is not None


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_acquire_that_is_cut_off_is_not_counted(place: int) -> None:
    """Nobody would ever release it; even if it was over, and only its caller does not know."""
    driver, lock = held(times=2)
    _cut(driver, lock.acquire(True, None, "me"), place)
    assert lock.count("me") == 2
    assert driver.requests() == []


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_release_that_is_cut_off_is_counted_once(place: int) -> None:
    """The block has ended: it is finished, and not done twice."""
    driver, lock = held(times=3)
    _cut(driver, lock.release("me"), place)
    assert lock.count("me") == 2
    assert KEY in driver.held()


def test_the_last_release_that_is_cut_off_is_finished() -> None:
    """As that of any lock, wherever it happened."""
    for place in range(20):
        driver, lock = held(times=2)
        driver.release(lock)
        cut = _cut(driver, lock.release("me"), place)
        assert (lock.count("me"), driver.held()) == (0, {}), place
        if not cut:
            return
    raise AssertionError("a release does not end")
