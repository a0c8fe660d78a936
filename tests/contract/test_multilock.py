"""`MultiLock`: several locks at once, all or nothing."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from consul_lock import AlreadyHeld, ConfigError, Conflict, LockLost, LockTimeout, LossReason, Op
from tests.contract.fixture import LOCK_DELAY, QUICK, SELDOM, Room, Told, waiting_in_the_process
from tests.support.apis import Sync
from tests.support.waiting import eventually

NAMES = ("apples", "pears", "plums")


def names_of(room: Room, *names: str) -> list[str]:
    return [f"{room.name}/{name}" for name in names or NAMES]


def key_of(room: Room, name: str) -> str:
    return f"{room.name}/{name}/.lock"


def several(room: Room, *names: str, client: Sync | None = None, **options: Any) -> Sync:
    """The locks of these names, together; without a client: of somebody else each time."""
    client = client or room.client(room.actor())
    made = client.actor.do(
        room.api.MultiLock,
        names_of(room, *names),
        **{"client": client.thing, "lock_delay": LOCK_DELAY, **options},
    )
    return Sync(made, client.actor)


def single(room: Room, name: str, client: Sync | None = None, **options: Any) -> Sync:
    """The lock of one of the names, for somebody else."""
    client = client or room.client(room.actor())
    made = client.actor.do(
        room.api.Lock, f"{room.name}/{name}", client=client.thing, lock_delay=LOCK_DELAY, **options
    )
    return Sync(made, client.actor)


def owners(room: Room, *names: str) -> set[str | None]:
    return {room.operator.owner(key_of(room, name)) for name in names or NAMES}


def test_all_are_held_with_one_session_and_one_token(room: Room) -> None:
    """And it says so; afterwards nothing is left."""
    lock = several(room)
    assert (lock.names, lock.name) == (tuple(names_of(room)), ", ".join(names_of(room)))
    assert lock.keys == tuple(key_of(room, name) for name in NAMES)
    assert lock.key == lock.keys[0]
    assert lock.acquire()
    assert lock.held
    assert owners(room) == {lock.session_id}
    assert {room.operator.index(key) for key in lock.keys} == {lock.token}
    token = lock.token
    lock.release()
    assert room.operator.keys(room.name) == {}
    with lock:
        assert lock.token > token
        lock.ensure_held()


def test_it_excludes_the_single_locks_and_is_excluded_by_them(room: Room) -> None:
    """Of each name; nothing is held of it while one is taken."""
    lock = several(room)
    plain = [single(room, name) for name in NAMES]
    assert lock.acquire()
    assert [each.acquire(timeout=0) for each in plain] == [False] * 3
    assert [each.holder().session for each in plain] == [lock.session_id] * 3
    lock.release()
    for each in plain:
        assert each.acquire(timeout=0)
        assert not lock.acquire(timeout=0)
        assert owners(room) == {None, each.session_id}
        each.release()
    assert lock.acquire(timeout=0)
    lock.release()


def test_it_excludes_clients_of_other_tools(room: Room) -> None:
    """`consul lock` holds the same key; when it lets go, what waits gets all."""
    foreign_session = room.operator.take(key_of(room, "pears"))
    lock = several(room)
    assert not lock.acquire(timeout=0)
    waiting = lock.start("acquire")
    room.operator.destroy(foreign_session)
    assert waiting.result(120) is True
    assert owners(room) == {lock.session_id}
    lock.release()


def test_a_timeout_names_the_lock_that_is_held_and_its_holder(room: Room) -> None:
    """The error names the lock that is in the way, and its holder."""
    lock, plain = several(room), single(room, "plums", meta={"job": "jam"})
    assert (lock.holder(), lock.holders(), lock.locked()) == (None, {}, False)
    assert plain.acquire()
    with pytest.raises(LockTimeout, match="plums' is held by") as caught, lock(timeout=0.3):
        pytest.fail("it is taken")
    assert caught.value.key == key_of(room, "plums")
    assert caught.value.holder.session == plain.session_id
    (holder,) = lock.holders().values()
    assert (holder, lock.locked(), lock.waiters()) == (lock.holder(), True, [])
    assert holder.meta == {"job": "jam"}
    assert list(lock.holders()) == [f"{room.name}/plums"]
    plain.release()
    assert lock.acquire()
    assert list(lock.holders()) == names_of(room)
    assert {holder.session for holder in lock.holders().values()} == {lock.session_id}
    lock.release()


def test_the_order_of_the_names_does_not_matter(room: Room) -> None:
    """Two that want the same in another order take turns, and never wait for each other."""
    one, two = several(room, "apples", "pears"), several(room, "pears", "apples")
    tokens = []
    for _ in range(4):
        waiting = {lock: lock.start("acquire", timeout=60) for lock in (one, two)}
        while waiting:
            lock = eventually(partial(_had, waiting))
            assert waiting.pop(lock).result() is True
            tokens.append(lock.token)
            lock.release()
    assert tokens == sorted(set(tokens))


def _had(waiting: dict[Sync, Future[Any]]) -> Sync | None:
    return next((lock for lock, acquired in waiting.items() if acquired.done()), None)


def test_a_waiter_for_one_lock_gets_it_when_all_are_released(room: Room) -> None:
    """The queue of a single lock goes on as if a single lock had been released."""
    lock, plain = several(room), single(room, "pears")
    assert lock.acquire()
    waiting = plain.start("acquire", timeout=60)
    eventually(plain.by(room.main).waiters)
    lock.release()
    assert waiting.result(120) is True
    assert not lock.acquire(timeout=0)
    plain.release()


def test_the_loss_of_one_is_the_loss_of_all(room: Room) -> None:
    """It is reported once, and the others are free after a lock-delay."""
    name = NAMES[-1]
    told = Told()
    lock = several(room, on_lost=told, **QUICK)
    assert lock.acquire()
    room.operator.delete(key_of(room, name))
    eventually(lambda: told.reasons)
    assert (lock.held, lock.lost_reason) == (False, LossReason.KEY_DELETED)
    with pytest.raises(LockLost):
        lock.release()
    assert told.reasons == [LossReason.KEY_DELETED]
    other = several(room, **QUICK)
    assert other.acquire(timeout=60)
    other.release()


def test_a_loss_that_nobody_noticed_is_found_by_the_release(room: Room) -> None:
    """Leaving the block raises, and nothing of others is touched."""
    name = NAMES[-1]
    lock = several(room, lock_delay=30)
    with pytest.raises(LockLost) as caught, lock:
        thief = room.operator.take(key_of(room, name))
    assert caught.value.reason is LossReason.STOLEN
    assert room.operator.owner(key_of(room, name)) == thief
    eventually(lambda: owners(room) == {thief, None})
    room.operator.destroy(thief)


def test_a_guard_needs_all_of_them(room: Room) -> None:
    """One operation for each lock, and what is left of 64 for its user."""
    lock = several(room)
    data = f"{room.name}/data"
    room.left.add(data)
    assert lock.acquire()
    (written,) = lock.guard([Op.set(data, "1")])
    assert written.key == data
    with pytest.raises(ConfigError, match="the 3 that are the guard"):
        lock.guard([Op.get(data)] * 62)
    room.operator.delete(key_of(room, "plums"))
    with pytest.raises(LockLost):
        lock.guard([Op.set(data, "2")])
    assert room.operator.value(data) == b"1"


def test_as_many_as_there_can_be(room: Room) -> None:
    """64 is what one transaction of any Consul can lock; 65 are refused before that."""
    names = [f"many-{number}" for number in range(65)]
    lock, plain = several(room, *names[:64]), single(room, names[63])
    with lock:
        assert owners(room, *names[:64]) == {lock.session_id}
        assert lock.guard([]) == []
        with pytest.raises(ConfigError, match="the 64 that are the guard"):
            lock.guard([Op.get("x")])
        assert not plain.acquire(timeout=0)
        assert len(lock.holders()) == 64
    assert plain.acquire()
    waiting = lock.start("acquire", timeout=60)
    plain.release()
    assert waiting.result(120) is True
    lock.release()
    with pytest.raises(ConfigError, match="65 names"):
        several(room, *names)


def test_a_key_that_is_used_for_something_else_is_left_alone(room: Room) -> None:
    """Conflict names the key."""
    key = key_of(room, "pears")
    room.operator.put(key, "a document")
    room.left.add(key)
    with pytest.raises(Conflict) as caught:
        several(room).acquire()
    assert (caught.value.key, caught.value.flags) == (key, 0)
    assert room.operator.value(key) == b"a document"


def test_nobody_waits_for_what_it_holds_itself(room: Room) -> None:
    """Not for one of the names, nor for all."""
    client = room.client()
    lock, plain = several(room, client=client), single(room, "pears", client)
    with plain, pytest.raises(AlreadyHeld):
        lock.acquire()
    with lock:
        with pytest.raises(AlreadyHeld):
            plain.acquire()
        with pytest.raises(AlreadyHeld):
            lock.acquire()
        assert not lock.acquire(blocking=False)


def test_users_of_one_client_take_turns(room: Room) -> None:
    """The same object, and another of the same names in another order."""
    client = room.client()
    lock, other = several(room, client=client), several(room, *reversed(NAMES), client=client)
    users = [lock, lock.by(room.actor()), other.by(room.actor())]
    assert users[0].acquire()
    waiting = []
    for number, user in enumerate(users[1:], 1):
        waiting.append(user.start("acquire", timeout=60))
        eventually(lambda number=number: waiting_in_the_process(lock) == number)
    assert not any(each.done() for each in waiting)
    users[0].release()
    assert waiting[0].result(120) is True
    assert not waiting[1].done()
    users[1].release()
    assert waiting[1].result(120) is True
    users[2].release()


def test_a_session_can_be_shared_with_a_single_lock(room: Room) -> None:
    """They exclude each other, though they are one to Consul, and end together."""
    client = room.client()
    session = client.actor.do(room.api.Session, client.thing, **QUICK)
    options = {"client": None, "session": session}
    lock = Sync(client.actor.do(room.api.MultiLock, names_of(room), **options), client.actor)
    plain = Sync(client.actor.do(room.api.Lock, f"{room.name}/pears", **options), room.actor())
    with lock:
        assert not plain.acquire(timeout=0)
        assert owners(room) == {lock.session_id}
    with plain:
        assert not lock.acquire(timeout=0.3)
        assert owners(room) == {None, plain.session_id}
    beside = Sync(client.actor.do(room.api.Lock, f"{room.name}/beside", **options), client.actor)
    assert lock.acquire()
    assert beside.acquire()
    room.operator.delete(key_of(room, "apples"))
    eventually(beside.lost.is_set)
    for each in (lock, beside):
        with pytest.raises(LockLost):
            each.release()
    assert lock.acquire(timeout=60)
    lock.release()


def test_with_watch_the_loss_of_the_first_is_noticed_at_once(room: Room) -> None:
    """The keeper looks again in three minutes or later."""
    told = Told()
    lock = several(room, watch=True, on_lost=told, **SELDOM)
    assert lock.acquire()
    room.operator.delete(lock.key)
    eventually(lambda: told.reasons == [LossReason.KEY_DELETED])
    with pytest.raises(LockLost):
        lock.release()


@pytest.mark.parametrize("names", ["jobs", ["jobs", "jobs/one"]], ids=str)
def test_names_that_make_no_sense_are_refused(room: Room, names: Any) -> None:
    """By the constructor."""
    client = room.client()
    with pytest.raises(ConfigError):
        client.actor.do(room.api.MultiLock, names, client=client.thing)
