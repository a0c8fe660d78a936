"""Acquiring: who gets it, who does not, and which arguments are refused."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest

from consul_lock import ConfigError, LockLost, LockTimeout
from tests.contract.fixture import Room
from tests.contract.lock_kinds import each_kind
from tests.support.apis import Sync
from tests.support.waiting import eventually

SHORT = 3.0
"""Seconds: the lock-delay of a holder that dies."""

pytestmark = each_kind


def test_two_clients_exclude_each_other(room: Room) -> None:
    """While one client holds the lock no other gets it, and afterwards it does."""
    first, second = room.lock(), room.others_lock()
    assert first.acquire()
    assert not second.acquire(timeout=0)
    first.release()
    assert second.acquire(timeout=0)
    assert not first.acquire(timeout=0)
    second.release()


def test_an_acquired_lock_is_held_and_says_so(room: Room) -> None:
    """`held` and its companions are about this object; `locked()` is about the world."""
    lock, other = room.lock(), room.others_lock()
    assert not lock.held
    assert (lock.token, lock.session_id, lock.remaining()) == (None, None, 0.0)
    assert not lock.locked()
    assert lock.acquire() is True
    assert lock.held
    assert lock.remaining() > 1
    assert room.owner() == lock.session_id
    assert room.operator.index(room.key) == lock.token
    assert (lock.key, lock.lost_reason, lock.lost.is_set()) == (room.key, None, False)
    lock.ensure_held()
    assert other.locked()
    assert not other.held
    lock.release()
    assert not lock.held
    assert not other.locked()


@pytest.mark.parametrize(
    "options", [{"timeout": 0}, {"blocking": False}, {"blocking": False, "timeout": -1}], ids=str
)
def test_one_attempt_returns_false_at_once(room: Room, options: dict[str, Any]) -> None:
    """No waiting was asked for: contention is an answer, not an error."""
    holder, other = room.holding(), room.others_lock()
    assert other.acquire(**options) is False
    assert not other.held
    assert other.waiters() == []
    holder.release()


def test_the_first_try_of_a_client_gets_what_a_dead_holder_had(room: Room) -> None:
    """As jobs in a crontab do, with a new process each time: its key is left, and it is free."""
    holder = room.holding(lock_delay=SHORT)
    room.operator.destroy(holder.session_id)
    over = monotonic() + SHORT
    eventually(lambda: monotonic() > over)

    def first_try() -> bool:
        newcomer = room.others_lock()
        got: bool = newcomer.acquire(timeout=0)
        if got:
            newcomer.release()
        return got

    eventually(first_try, message="the lock")
    with pytest.raises(LockLost):
        holder.release()


def test_a_timeout_returns_false_and_leaves_the_queue(room: Room) -> None:
    """A caller that gives up does not stay in the queue."""
    holder, other = room.holding(), room.others_lock()
    assert other.acquire(timeout=0.3) is False
    assert other.waiters() == []
    holder.release()
    assert not other.locked()


@pytest.mark.parametrize("timeout", [None, -1, -1.0], ids=str)
def test_no_timeout_waits_until_it_is_free(room: Room, timeout: float | None) -> None:
    """None and -1 wait for ever, as in `threading.Lock`."""
    holder, other = room.holding(), room.others_lock()
    waiting = other.start("acquire", timeout=timeout)
    room.in_line(1)
    holder.release()
    assert waiting.result(120) is True
    other.release()


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": -0.5},
        {"timeout": -2},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"timeout": "5"},
        {"timeout": True},
        {"blocking": False, "timeout": 5},
        {"blocking": False, "timeout": 0},
    ],
    ids=str,
)
def test_a_nonsense_timeout_is_refused(room: Room, options: dict[str, Any]) -> None:
    """Negative, endless or contradictory: a ConfigError that names the value, and no lock."""
    lock = room.lock()
    with pytest.raises(ConfigError, match="timeout="):
        lock.acquire(**options)
    assert not lock.locked()


def test_with_holds_the_lock_in_the_block(room: Room) -> None:
    """The block runs with the lock, and after it somebody else can have it."""
    lock, other = room.lock(), room.others_lock()
    with lock as entered:
        assert entered.thing is lock.thing
        assert lock.held
        assert not other.acquire(timeout=0)
    assert not lock.held
    with other(timeout=20) as entered:
        assert entered.held


def test_with_a_timeout_raises_an_error_that_names_the_holder(room: Room) -> None:
    """The block never starts without the lock: LockTimeout, which names the holder."""
    holder, other = room.holding(meta={"build": "7"}), room.others_lock()
    with pytest.raises(LockTimeout) as caught, other(timeout=0.1):
        raise AssertionError("the block was entered")
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.key == room.key
    assert caught.value.holder.session == holder.session_id
    assert caught.value.holder.meta == {"build": "7"}
    holder.release()


def test_an_exception_in_the_block_releases_and_goes_on(room: Room) -> None:
    """The body's own error is what the caller sees, and the lock is free."""
    lock = room.lock()
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    assert not lock.locked()


def test_another_thread_or_task_waits_for_the_same_object(room: Room) -> None:
    """One object may be shared: another user of it waits, and is no AlreadyHeld."""
    lock = room.holding()
    token = lock.token
    other = lock.by(room.actor())
    assert other.acquire(timeout=0) is False
    waiting = other.start("acquire")
    lock.release()
    assert waiting.result(120) is True
    assert lock.token > token
    other.release()


@pytest.mark.parametrize("shared", [True, False], ids=["one object", "many clients"])
def test_never_two_are_inside_and_all_get_their_turn(room: Room, shared: bool) -> None:
    """Six users, of one object or of six clients, enter three times each."""
    lock = room.lock()
    users = [lock.by(room.actor()) if shared else room.others_lock() for _ in range(6)]
    inside: list[int] = []
    most: list[int] = []

    def enter_often(user: Sync) -> None:
        for _ in range(3):
            with user:
                inside.append(1)
                assert user.locked()
                most.append(len(inside))
                inside.pop()

    with ThreadPoolExecutor() as pool:
        list(pool.map(enter_often, users))
    assert most == [1] * 18
