"""Sessions shared on purpose, the end of a client, and keys that belong to others."""

from __future__ import annotations

import pytest

from consul_lock import ConfigError, Conflict, LockLost, LossReason, Unavailable
from tests.contract.fixture import LOCK_DELAY, Room, Told
from tests.contract.lock_kinds import each_kind
from tests.support.apis import Sync
from tests.support.waiting import eventually

SOON = 10.0
"""Seconds: half of the time for which errors of the server are tolerated."""


def _shared(room: Room, count: int = 2) -> tuple[Sync, list[Sync], list[Told]]:
    """A session, and some locks that are held with it."""
    client = room.client()
    made = client.actor.do(room.api.Session, client.thing, lock_delay=LOCK_DELAY, name="shared")
    told = [Told() for _ in range(count)]
    locks = [
        Sync(room.api.Lock(f"{room.name}/{n}", session=made, on_lost=told[n]), client.actor)
        for n in range(count)
    ]
    for lock in locks:
        assert lock.acquire()
    return Sync(made, client.actor), locks, told


def test_locks_of_one_session_die_together(room: Room) -> None:
    """The session is gone: all of them are lost, for the same reason, each reported once."""
    session, locks, told = _shared(room)
    assert {lock.session_id for lock in locks} == {session.id}
    room.operator.destroy(session.id)
    eventually(lambda: all(t.reasons for t in told))
    assert [t.reasons for t in told] == [[LossReason.SESSION_INVALID]] * 2
    assert session.id is None


def test_the_loss_of_one_key_leaves_the_others(room: Room) -> None:
    """Only the session binds them: a deleted key is one lock's loss."""
    session, locks, told = _shared(room)
    room.operator.delete(locks[0].key)
    eventually(lambda: told[0].reasons)
    assert told[0].reasons == [LossReason.KEY_DELETED]
    assert locks[1].held
    assert session.id in room.operator.sessions()
    locks[1].release()
    assert told[1].reasons == []


def test_closing_the_session_loses_what_is_held_with_it(room: Room) -> None:
    """Its end is theirs; it can be opened again."""
    session, locks, told = _shared(room)
    first = session.id
    session.close()
    assert session.id is None
    assert first not in room.operator.sessions()
    assert [lock.held for lock in locks] == [False, False]
    eventually(lambda: all(t.reasons for t in told))
    assert [t.reasons for t in told] == [[LossReason.SESSION_INVALID]] * 2
    second = session.open()
    assert second not in (None, first)
    assert second == session.id
    session.close()


def test_a_session_is_made_at_its_first_use(room: Room) -> None:
    """Until then nothing is sent; `with` makes it, and destroys it."""
    client = room.client()
    made = client.actor.do(room.api.Session, client.thing, name="on time")
    session = Sync(made, client.actor)
    assert session.id is None
    assert room.sessions() == set()
    with session:
        assert room.sessions() == {session.id}
    assert room.sessions() == set()


def test_the_settings_of_a_shared_session_belong_to_it(room: Room) -> None:
    """A TTL for the lock as well, or another client, is a contradiction."""
    client, other = room.client(), room.client()
    session = client.actor.do(room.api.Session, client.thing)
    with pytest.raises(ConfigError, match="session="):
        room.api.Lock(room.name, session=session, ttl=20)
    with pytest.raises(ConfigError, match="client="):
        room.api.Lock(room.name, session=session, client=other.thing)


@each_kind
def test_a_key_with_a_value_of_others_is_left_alone(room: Room) -> None:
    """Conflict, with the flags that were found; the value stays as it was."""
    room.operator.put(room.key, "precious")
    room.left.add(room.key)
    before = room.operator.keys(room.key)
    lock = room.lock()
    for options in ({}, {"timeout": 0}, {"timeout": 1}):
        with pytest.raises(Conflict) as caught:
            lock.acquire(**options)
        assert (caught.value.flags, caught.value.key) == (0, room.key)
        assert "0" in str(caught.value)
    with pytest.raises(Conflict), lock:
        raise AssertionError("the block was entered")
    assert room.operator.keys(room.key) == before
    assert not lock.held


@each_kind
def test_closing_a_client_releases_everything(room: Room) -> None:
    """Its holder gets REVOKED, the next in the queue gets it, and no session is left."""
    told = Told()
    client = room.client()
    lock, other = room.lock(client, on_lost=told), room.others_lock()
    assert lock.acquire()
    session = lock.session_id
    waiting = other.start("acquire")
    room.in_line(1)
    client.close()
    assert waiting.result(120) is True
    assert told.reasons == [LossReason.REVOKED]
    assert (lock.held, lock.lost.is_set(), lock.lost_reason) == (False, True, LossReason.REVOKED)
    assert session not in room.operator.sessions()
    with pytest.raises(LockLost):
        lock.release()
    other.release()
    client.close()


@each_kind
def test_a_closed_client_acquires_nothing(room: Room) -> None:
    """It says that it is closed, at once."""
    client = room.client()
    lock = room.lock(client)
    client.close()
    with pytest.raises(Unavailable, match="closed"):
        lock.start("acquire").result(SOON)


def test_closing_a_client_ends_its_waiters(room: Room) -> None:
    """Its waiters stop waiting, and leave the queue."""
    holder, waiter = room.holding(), room.others_lock()
    client = Sync(waiter.thing._client, room.actor())
    waiting = waiter.start("acquire")
    room.in_line(1)
    client.close()
    with pytest.raises(Unavailable):
        waiting.result(SOON)
    room.in_line(0)
    holder.release()


def test_a_session_is_used_again_after_a_clean_release(room: Room) -> None:
    """The second acquire of a client needs no new session, whatever its name."""
    client = room.client()
    first, second = room.lock(client), room.lock(client, name=f"{room.name}/b")
    assert first.acquire()
    session = first.session_id
    first.release()
    assert second.acquire()
    assert second.session_id == session
    assert first.acquire()
    assert first.session_id != session
    first.release()
    second.release()
