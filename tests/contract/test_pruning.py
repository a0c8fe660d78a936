"""Dead holders of semaphores, read/write and tree locks: nobody is in before their lock-delay."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import monotonic

import pytest

from consul_lock import LockLost
from tests.contract.fixture import Room
from tests.contract.key_layouts import SEMAPHORE_FLAG
from tests.support.apis import Sync
from tests.support.waiting import eventually

LONG, SHORT = 7.0, 5.0
"""Seconds: the lock-delays of a holder and of those who come after it."""

Make = Callable[..., Sync]


@pytest.fixture(params=["semaphore", "writer", "tree"])
def make(room: Room, request: pytest.FixtureRequest) -> Make:
    """One that only one can hold, of a client of its own, which is not closed before the end."""

    def made(lock_delay: float) -> Sync:
        client = room.client(room.actor(), retry_for=0.0)
        options = {"client": client.thing, "lock_delay": lock_delay}
        lock = {
            "semaphore": lambda: room.api.Semaphore(room.name, 1, **options),
            "writer": lambda: room.api.ReadWriteLock(room.name, **options).write(),
            "tree": lambda: room.api.Lock(f"{room.name}/a/b", tree=True, **options),
        }[request.param]
        return Sync(client.actor.do(lock), client.actor)

    return made


def test_holders_of_different_lock_delays_never_share(room: Room, make: Make) -> None:
    """The holder's counts, as long as it believes; of three who try again and again, and one
    who waits, none is in before it is over, whatever lock-delay they have themselves."""
    holder = make(LONG)
    assert holder.acquire(timeout=20)
    newcomers = [make(SHORT) for _ in range(4)]
    waiting = newcomers[-1].start("acquire")
    eventually(lambda: len(holder.waiters()) == 1)
    destroyed = monotonic()
    room.operator.destroy(holder.session_id)
    entered: list[tuple[float, bool]] = []

    def all_have_tried() -> bool:
        for newcomer in newcomers[:-1]:
            if newcomer.acquire(timeout=0):
                entered.append((monotonic() - destroyed, holder.held))
                newcomer.release()
        return waiting.done()

    eventually(all_have_tried, message="the one who waits is in")
    assert all(after >= LONG and not believed for after, believed in entered)
    assert waiting.result(120) is True
    assert monotonic() - destroyed >= LONG
    newcomers[-1].release()
    with pytest.raises(LockLost):
        holder.release()


def test_a_single_try_gets_what_a_dead_holder_had(room: Room, make: Make) -> None:
    """As a job in a crontab does: nobody is there all the time to see the lock-delay pass."""
    holder, newcomer = make(SHORT), make(LONG)
    assert holder.acquire(timeout=20)
    destroyed = monotonic()
    room.operator.destroy(holder.session_id)
    eventually(lambda: newcomer.acquire(timeout=0), message="the slot")
    assert monotonic() - destroyed >= SHORT
    newcomer.release()
    with pytest.raises(LockLost):
        holder.release()


def test_contenders_that_died_while_they_waited_are_passed_over(room: Room, make: Make) -> None:
    """At once: they have nothing that would have to be kept for them."""
    holder, dying, behind = make(60.0), make(60.0), make(60.0)
    assert holder.acquire(timeout=20)
    waiting = dying.start("acquire")
    eventually(lambda: len(holder.waiters()) == 1)
    (first,) = holder.waiters()
    following = behind.start("acquire")
    eventually(lambda: len(holder.waiters()) == 2)
    room.operator.destroy(first.session)
    # Its process comes again, with another session, and is the last then.
    eventually(lambda: holder.waiters()[-1].session != first.session)
    eventually(lambda: first.session not in {w.session for w in holder.waiters()})
    holder.release()
    assert following.result(120) is True
    assert not waiting.done()
    behind.release()
    assert waiting.result(120) is True
    dying.release()


# -- semaphores: several dead holders, and those of other clients


def semaphore(room: Room, limit: int, lock_delay: float) -> Sync:
    client = room.client(room.actor(), retry_for=0.0)
    options = {"client": client.thing, "lock_delay": lock_delay}
    return Sync(client.actor.do(room.api.Semaphore, room.name, limit, **options), client.actor)


def test_one_in_lock_delay_does_not_hold_up_the_others(room: Room) -> None:
    """Its slot stays its own, and the next two are acquired."""
    holders = [semaphore(room, 3, lock_delay) for lock_delay in (SHORT, 60.0, SHORT)]
    for holder in holders:
        assert holder.acquire(timeout=20)
    sessions = [holder.session_id for holder in holders]
    for session in sessions:
        room.operator.destroy(session)
    newcomer = semaphore(room, 3, LONG)
    eventually(lambda: newcomer.acquire(timeout=0, n=2), message="two slots")
    document = json.loads(room.operator.value(f"{room.name}/.lock") or b"")
    assert set(document["Holders"]) & set(sessions) == {sessions[1]}
    newcomer.release()
    for holder in holders:
        with pytest.raises(LockLost):
            holder.release()


def test_a_holder_whose_session_never_existed_has_no_lock_delay(room: Room) -> None:
    """Nor has one whose contender key was deleted by hand: Consul keeps none for it."""
    nobody = "00000000-0000-0000-0000-00000000dead"
    document = f'{{"Limit":1,"Holders":{{"{nobody}":true}}}}'.encode()
    room.operator.put_flags(f"{room.name}/.lock", SEMAPHORE_FLAG, document)
    newcomer = semaphore(room, 1, LONG)
    assert newcomer.acquire(timeout=0)
    assert newcomer.held
    newcomer.release()


def test_a_dead_holder_of_another_client_has_the_lock_delay_that_it_asked_for(room: Room) -> None:
    """Its sessions have the other behaviour, as those of Go: the contender key is gone, and its
    name in lock-delay."""
    asked = {"LockDelay": "3s", "Behavior": "delete", "NodeChecks": []}
    session = str(room.operator.ask("PUT", "/v1/session/create", asked)["ID"])
    key = f"{room.name}/{session}"
    where = f"/v1/kv/{key}?acquire={session}&flags={SEMAPHORE_FLAG}"
    assert room.operator.ask("PUT", where, b"Go")
    document = f'{{"Limit":1,"Holders":{{"{session}":true}}}}'.encode()
    room.operator.put_flags(f"{room.name}/.lock", SEMAPHORE_FLAG, document)
    newcomer = semaphore(room, 1, SHORT)
    destroyed = monotonic()
    room.operator.destroy(session)
    assert key not in room.operator.keys(room.name)
    assert newcomer.acquire(timeout=30)
    assert monotonic() - destroyed >= 3.0
    newcomer.release()
