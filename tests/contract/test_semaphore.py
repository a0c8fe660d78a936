"""The semaphore: what a lock does not have.  That it is like a lock is tested with the lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock import ConfigError, Conflict, NotHeld
from tests.contract.fixture import LOCK_DELAY, Room, until_queued
from tests.contract.key_layouts import SEMAPHORE_FLAG
from tests.support.apis import Sync
from tests.support.waiting import eventually

Make = Callable[..., Sync]


@pytest.fixture
def semaphore(room: Room) -> Make:
    """Make a semaphore with the name of the test: ``semaphore(3)``, of a client of its own."""

    def make(limit: Any, client: Sync | None = None, **options: Any) -> Sync:
        client = client or room.client(room.actor())
        asked = {"lock_delay": LOCK_DELAY, "client": client.thing, **options}
        made = client.actor.do(room.api.Semaphore, room.name, limit, **asked)
        return Sync(made, client.actor)

    return make


def test_as_many_as_the_limit_hold_it_at_once(room: Room, semaphore: Make) -> None:
    """And one more when one of them has released."""
    first, second, third = semaphore(2), semaphore(2), semaphore(2)
    assert first.acquire(timeout=0)
    assert second.acquire(timeout=0)
    assert not third.acquire(timeout=0)
    assert {holder.session for holder in third.holders()} == {first.session_id, second.session_id}
    first.release()
    assert third.acquire(timeout=0)
    second.release()
    third.release()


def test_the_document_is_that_of_the_go_client(room: Room, semaphore: Make) -> None:
    """Byte for byte, with its flags; the contenders are locked by their sessions."""
    holders = [semaphore(3) for _ in range(3)]
    for holder in holders:
        assert holder.acquire(timeout=0)
    sessions = sorted(holder.session_id for holder in holders)
    listed = ",".join(f'"{session}":true' for session in sessions)
    keys = room.operator.keys(f"{room.name}/")
    document = keys.pop(f"{room.name}/.lock")
    assert document["Value"] == f'{{"Limit":3,"Holders":{{{listed}}}}}'.encode()
    assert document["Flags"] == SEMAPHORE_FLAG
    assert "Session" not in document
    assert keys.keys() == {f"{room.name}/{session}" for session in sessions}
    assert {(e["Key"], e["Session"]) for e in keys.values()} == {
        (f"{room.name}/{session}", session) for session in sessions
    }
    assert {e["Flags"] for e in keys.values()} == {SEMAPHORE_FLAG}
    for holder in holders:
        holder.release()


def test_several_slots_are_taken_together_or_not_at_all(room: Room, semaphore: Make) -> None:
    """Two of three are free: an acquire of three gets none of them is taken."""
    small, big = semaphore(3), semaphore(3)
    assert small.acquire(timeout=0)
    assert not big.acquire(timeout=0, n=3)
    assert len(small.holders()) == 1
    assert big.acquire(timeout=0, n=2)
    assert len(small.holders()) == 3
    assert len(room.operator.sessions() & set(_holders(room))) == 3
    big.release()
    assert len(small.holders()) == 1
    small.release()
    with big(timeout=20, n=3) as entered:
        assert entered.held
        assert not small.acquire(timeout=0)


def _holders(room: Room) -> list[str]:
    keys = room.operator.keys(f"{room.name}/")
    return [entry["Session"] for entry in keys.values() if "Session" in entry]


def test_a_waiter_for_more_is_not_overtaken_by_waiters_for_less(
    room: Room, semaphore: Make
) -> None:
    """First come, first served: the slot that is free waits for the second one."""
    holder, big, small = semaphore(2), semaphore(2), semaphore(2)
    assert holder.acquire()
    waiting = big.start("acquire", n=2)
    until_queued(holder, 1)
    assert not small.acquire(timeout=0.3)
    behind = small.start("acquire")
    until_queued(holder, 2)
    holder.release()
    assert waiting.result(120) is True
    assert not behind.done()
    big.release()
    assert behind.result(120) is True
    small.release()


def test_the_end_of_one_of_several_sessions_is_the_loss_of_all(room: Room, semaphore: Make) -> None:
    """They were acquired together, and are one hold."""
    lock = semaphore(3)
    assert lock.acquire(n=3)
    last = max(session for session in _holders(room) if session != lock.session_id)
    room.operator.destroy(last)
    eventually(lock.lost.is_set)
    assert not lock.held
    eventually(lambda: not set(_holders(room)) & room.operator.sessions())


def test_one_object_can_be_held_several_times(room: Room, semaphore: Make) -> None:
    """By several threads or tasks, and by one of them twice; each release ends one hold."""
    mine = semaphore(3)
    other = mine.by(room.actor())
    assert mine.acquire()
    first = mine.token
    assert other.acquire()
    assert mine.acquire()
    assert mine.actor.do(lambda: mine.thing.token) > other.actor.do(lambda: other.thing.token)
    assert len(mine.holders()) == 3
    mine.release()
    assert mine.actor.do(lambda: (mine.thing.held, mine.thing.token)) == (True, first)
    other.release()
    mine.release()
    assert mine.holders() == []
    with pytest.raises(NotHeld):
        mine.release()


def test_resize_lets_in_the_waiters_that_fit_in_then(room: Room, semaphore: Make) -> None:
    """Waiters take the new limit over; newcomers with the old one get an error."""
    holder, waiter, late = semaphore(1), semaphore(1), semaphore(1)
    assert holder.acquire()
    waiting = waiter.start("acquire")
    until_queued(holder, 1)
    holder.resize(2)
    assert waiting.result(120) is True
    assert (holder.limit, waiter.limit) == (2, 2)
    with pytest.raises(Conflict, match=r"limit conflict \(lock: 2, local: 1\)") as caught:
        late.acquire()
    assert (caught.value.limit, caught.value.key) == (2, f"{room.name}/.lock")
    late.resize(2)
    assert not late.acquire(timeout=0)
    holder.release()
    waiter.release()


def test_resize_to_less_throws_nobody_out(room: Room, semaphore: Make) -> None:
    """Others get in when enough have left."""
    first, second, third = semaphore(2), semaphore(2), semaphore(2)
    assert first.acquire()
    assert second.acquire()
    first.resize(1)
    assert first.held
    assert second.held
    waiting = third.start("acquire", timeout=60)
    # It was made with the old limit, and gets an error.
    with pytest.raises(Conflict):
        waiting.result(120)
    third.resize(1)
    waiting = third.start("acquire")
    until_queued(first, 1)
    first.release()
    assert not waiting.done()
    second.release()
    assert waiting.result(120)
    third.release()


def test_a_waiter_for_more_slots_than_there_are_left_gets_an_error(
    room: Room, semaphore: Make
) -> None:
    """With the new limit it would wait for ever."""
    holder, waiter = semaphore(3), semaphore(3)
    assert holder.acquire()
    waiting = waiter.start("acquire", n=3)
    until_queued(holder, 1)
    holder.resize(2)
    with pytest.raises(Conflict) as caught:
        waiting.result(120)
    assert caught.value.limit == 2
    until_queued(holder, 0)
    holder.release()


def test_resizing_what_nobody_uses_leaves_nothing(room: Room, semaphore: Make) -> None:
    """There is no document whose limit could be changed."""
    lock = semaphore(1)
    lock.resize(3)
    assert lock.limit == 3
    assert room.operator.keys(room.name) == {}


def test_a_nonsense_limit_is_refused(room: Room, semaphore: Make) -> None:
    """With the value in the message, before anything is sent."""
    with pytest.raises(ConfigError, match="limit="):
        semaphore(0)
    lock = semaphore(2)
    with pytest.raises(ConfigError, match="limit="):
        lock.resize(0)


def test_a_nonsense_number_of_slots_is_refused(room: Room, semaphore: Make) -> None:
    """More than the limit would wait for ever."""
    lock = semaphore(3)
    with pytest.raises(ConfigError, match="n="):
        lock.acquire(n=4)
    assert room.operator.keys(room.name) == {}


def test_several_slots_of_one_shared_session_are_refused(room: Room, semaphore: Make) -> None:
    """The document has one slot a session."""
    client = room.client(room.actor())
    session = client.actor.do(room.api.Session, client.thing)
    lock = client.actor.do(room.api.Semaphore, room.name, 3, session=session)
    with pytest.raises(ConfigError, match="session="):
        Sync(lock, client.actor).acquire(n=2)


def test_the_limit_has_to_be_the_same_for_all(room: Room, semaphore: Make) -> None:
    """A client with another limit gets an error, and leaves nothing."""
    holder, other = semaphore(2), semaphore(3)
    assert holder.acquire()
    before = room.operator.keys(room.name)
    with pytest.raises(Conflict, match=r"semaphore limit conflict \(lock: 2, local: 3\)") as caught:
        other.acquire()
    assert caught.value.limit == 2
    assert room.operator.keys(room.name) == before
    holder.release()


def test_a_key_that_is_not_a_semaphore_is_left_alone(room: Room, semaphore: Make) -> None:
    """A lock, a read/write lock, a tree lock: the error says what was found, and nothing waits."""
    client = room.client(room.actor())
    others = [
        room.api.Lock(room.name, client=client.thing),
        room.api.ReadWriteLock(room.name, client=client.thing).read(),
        room.api.Lock(room.name, client=client.thing, tree=True),
    ]
    for other in others:
        lock = Sync(other, client.actor)
        assert lock.acquire()
        before = room.operator.keys(room.name)
        with pytest.raises(Conflict) as caught:
            semaphore(2).acquire()
        assert caught.value.flags == before[f"{room.name}/.lock"]["Flags"]
        assert room.operator.keys(room.name) == before
        lock.release()
        mine = semaphore(2)
        assert mine.acquire()
        with pytest.raises(Conflict) as caught:
            lock.acquire()
        assert caught.value.flags == SEMAPHORE_FLAG
        mine.release()
