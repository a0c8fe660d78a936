"""The re-entrant lock.  What it shares with every lock is shown by the tests of those."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest

from consul_lock import AlreadyHeld, LockLost, LossReason, NotHeld
from tests.contract.fixture import Room, Told
from tests.contract.lock_kinds import Kind, Options
from tests.support.apis import Asyncio, Sync
from tests.support.waiting import eventually


def _make(api: ModuleType, name: str, client: Any, options: Options) -> Any:
    return api.RLock(name, client=client, **options)


pytestmark = pytest.mark.parametrize("kind", [Kind("rlock", _make)], indirect=True, ids=["rlock"])


def test_its_owner_acquires_it_again_at_once(room: Room) -> None:
    """In Consul nothing happens, and nobody else has it before the last release."""
    lock, other = room.lock(), room.others_lock()
    with lock:
        there = room.operator.keys(room.name)
        token = lock.token
        with lock as again, lock(timeout=0):
            assert again.thing is lock.thing
            assert lock.acquire(blocking=False) is True
            assert lock.ask("count") == 4
            assert lock.ask("token") == token
            lock.release()
            assert room.operator.keys(room.name) == there
        assert lock.ask("count") == 1
        assert not other.acquire(timeout=0)
    assert lock.ask("count") == 0
    assert other.acquire(timeout=0)
    other.release()


def test_only_its_owner_releases_it(room: Room) -> None:
    """For everybody else that is NotHeld, which says whose it is; the lock stays held."""
    lock = room.holding()
    other = lock.by(room.actor())
    with pytest.raises(NotHeld, match="actor"):
        other.release()
    assert lock.ask("held")
    assert lock.locked()
    assert (other.ask("count"), lock.ask("count")) == (0, 1)
    lock.release()
    with pytest.raises(NotHeld):
        lock.release()


def test_other_users_of_the_object_wait_for_the_last_release(room: Room) -> None:
    """Each thread or task has a count of its own."""
    lock = room.holding()
    assert lock.acquire()
    other = lock.by(room.actor())
    assert not other.acquire(timeout=0)
    waiting = other.start("acquire", timeout=60)
    assert not other.by(room.actor()).acquire(timeout=0.2)
    lock.release()
    assert not waiting.done()
    assert lock.ask("count") == 1
    lock.release()
    assert waiting.result(120) is True
    other.acquire()
    assert (other.ask("count"), lock.ask("count")) == (2, 0)
    assert not lock.acquire(timeout=0)
    other.release()
    other.release()
    assert not lock.locked()


@pytest.mark.parametrize("face", [Asyncio], indirect=True, ids=["asyncio"])
def test_a_task_that_its_owner_starts_is_somebody_else(room: Room) -> None:
    """It has to wait, like everybody; so its owner must not wait for it."""
    lock = room.lock().thing

    async def scenario() -> tuple[bool, int, bool]:
        async with lock:
            child = await asyncio.create_task(lock.acquire(blocking=False))
            async with lock:
                return child, lock.count, await asyncio.create_task(has_count(lock))

    async def has_count(lock: Any) -> bool:
        return bool(lock.count)

    assert room.main.do(scenario) == (False, 2, False)


def test_another_object_of_the_same_name_is_another_lock(room: Room) -> None:
    """Re-entrant is an object, not a name; and a plain lock excludes it as well."""
    lock = room.holding()
    with pytest.raises(AlreadyHeld):
        room.lock().acquire()
    plain = room.client(room.actor())
    other = Sync(room.api.Lock(room.name, client=plain.thing), plain.actor)
    assert not other.acquire(timeout=0)
    lock.release()


def test_the_next_waiter_gets_it_with_the_last_release(room: Room) -> None:
    """It is handed over as any lock."""
    lock, other = room.holding(), room.others_lock()
    assert lock.acquire()
    waiting = other.start("acquire")
    room.in_line(1)
    lock.release()
    assert room.operator.owner(room.key) == lock.ask("session_id")
    lock.release()
    assert waiting.result(120) is True
    assert room.operator.owner(room.key) == other.ask("session_id")
    other.release()


# -- losing


def _lost_within(room: Room, blocks: int, told: Told) -> tuple[Sync, ExitStack]:
    """A lock that was lost inside so many nested blocks."""
    lock, stack = room.lock(on_lost=told), ExitStack()
    for _ in range(blocks):
        stack.enter_context(lock)
    room.operator.delete(room.key)
    eventually(lambda: told.reasons)
    return lock, stack


def test_a_loss_is_raised_by_the_innermost_block_and_goes_through_the_others(room: Room) -> None:
    """One error, raised once; afterwards the lock is as good as new."""
    told = Told()
    lock, stack = _lost_within(room, 3, told)
    with pytest.raises(LockLost) as caught:
        stack.close()
    assert caught.value.reason is LossReason.KEY_DELETED
    assert caught.value.__context__ is None
    assert told.reasons == [LossReason.KEY_DELETED]
    assert lock.ask("count") == 0
    with lock:
        assert (lock.ask("count"), lock.ask("held")) == (1, True)


def test_the_blocks_own_error_comes_before_the_loss(room: Room) -> None:
    """Out of all the blocks."""
    lock, stack = _lost_within(room, 2, Told())
    with pytest.raises(ZeroDivisionError), stack:
        raise ZeroDivisionError
    assert (lock.ask("count"), lock.ask("lost_reason")) == (0, LossReason.KEY_DELETED)


def test_a_block_around_the_one_that_raised_the_loss_raises_it_too(room: Room) -> None:
    """What came between was not protected, either; a caller that swallows one hears the next."""
    told = Told()
    lock, stack = _lost_within(room, 1, told)
    for _ in range(2):
        with pytest.raises(LockLost), lock:
            raise AssertionError("the block was entered")
    with pytest.raises(LockLost):
        lock.ensure_held()
    assert lock.ask("count") == 1
    with pytest.raises(LockLost):
        stack.close()
    assert told.reasons == [LossReason.KEY_DELETED]
    with pytest.raises(NotHeld):
        lock.release()


def test_the_loss_of_one_user_is_not_the_next_ones(room: Room) -> None:
    """The next holder has a lock that is whole, and the first one cannot release it."""
    lock = room.holding()
    assert lock.acquire()
    other = lock.by(room.actor())
    waiting = other.start("acquire", timeout=60)
    room.operator.delete(room.key)
    assert waiting.result(120) is True
    assert (lock.ask("held"), other.ask("held")) == (False, True)
    assert lock.ask("lost_reason") is LossReason.KEY_DELETED
    for count in (1, 0):
        with pytest.raises(LockLost):
            lock.release()
        assert lock.ask("count") == count
    with pytest.raises(NotHeld):
        lock.release()
    assert other.ask("held")
    other.release()
