"""Looking at what is held, from outside: the same in both faces, of a model and a real agent."""

from __future__ import annotations

import time
from typing import Any

import pytest

from consul_lock import ConfigError, Conflict, LockLost, Unavailable
from tests.contract.fixture import LOCK_DELAY, Room
from tests.contract.lock_kinds import each_kind, each_kind_with_a_line
from tests.contract.steps import Steps
from tests.support.apis import Sync
from tests.support.waiting import eventually


def survey(room: Room) -> Sync:
    """Somebody who looks on, with a client and an actor of its own."""
    client = room.client(room.actor())
    return Sync(client.actor.do(room.api.Survey, client.thing), client.actor)


def name_of(room: Room) -> str:
    """What the lock under test is known by: its name, or its key if that is all it has."""
    return room.key.removesuffix("/.lock")


@each_kind
def test_every_kind_is_seen_alike(room: Room) -> None:
    """Free, held by one who says who it is, free: by its name, and below a prefix."""
    onlooker, name = survey(room), name_of(room)
    assert onlooker.status(name).state == "free"
    lock = room.lock(meta={"build": "7"})
    assert lock.acquire()
    status = onlooker.status(name)
    assert (status.name, status.key, status.state, status.held) == (name, room.key, "held", True)
    (holder,) = status.holders
    assert (holder.session, holder.token) == (lock.session_id, lock.token)
    assert (holder.meta, holder.foreign) == ({"build": "7"}, False)
    assert status in onlooker.below(room.name)
    assert onlooker.below(f"{room.name}/none") == []
    lock.release()
    assert not onlooker.status(name).held


@each_kind_with_a_line
def test_waiters_are_seen_in_order(room: Room) -> None:
    """As the holder itself would see them."""
    onlooker, name = survey(room), name_of(room)
    first, others = room.holding(), [room.others_lock(meta={"n": str(n)}) for n in range(2)]
    waiting = []
    for number, other in enumerate(others):
        waiting.append(other.start("acquire", timeout=120))
        room.in_line(number + 1)
    status = onlooker.status(name)
    assert [h.session for h in status.holders] == [first.session_id]
    assert [waiter.meta["n"] for waiter in status.waiters] == ["0", "1"]
    assert status in onlooker.below(room.name)
    holder = first
    for number, other in enumerate(others):
        holder.release()
        assert waiting[number].result(120)
        holder = other
    holder.release()


def test_slots_and_readers_are_counted(room: Room) -> None:
    """A semaphore with its limit; readers beside each other; a tree lock reads what is above, and
    is distinguished from a reader and a writer."""
    onlooker, client = survey(room), room.client()
    make, api = client.actor.do, room.api
    semaphore = Sync(make(api.Semaphore, f"{room.name}/s", 3, client=client.thing), client.actor)
    assert semaphore.acquire(n=2)
    tree = Sync(make(api.Lock, f"{room.name}/t/u", client=client.thing, tree=True), client.actor)
    assert tree.acquire()
    shown = {s.name.removeprefix(room.name): s for s in onlooker.below(f"{room.name}/")}
    slots, above, node = shown["/s"], shown["/t"], shown["/t/u"]
    assert (slots.kind, slots.mode, slots.limit, len(slots.holders)) == ("semaphore", "slot", 3, 2)
    assert (above.kind, above.mode, node.mode) == ("read-write", "read", "write")
    assert above.holders[0].session == node.holders[0].session == tree.session_id
    assert above.tree is node.tree is True
    tree.release()
    both = make(api.ReadWriteLock, f"{room.name}/t/u", client=client.thing)
    for side in (Sync(both.read(), client.actor), Sync(both.write(), client.actor)):
        assert side.acquire()
        assert onlooker.status(f"{room.name}/t/u").tree is False
        side.release()
    semaphore.release()


def test_a_foreign_value_is_shown_and_left_alone(room: Room) -> None:
    """Its value, its flags and why it is no lock."""
    onlooker = survey(room)
    room.operator.put(room.key, "hello")
    room.left.add(room.key)
    status = onlooker.status(room.name)
    assert (status.kind, status.state, status.value) == ("foreign", "unknown", b"hello")
    assert status in onlooker.below(room.name)
    with pytest.raises(Conflict):
        onlooker.remove(status, force=True)
    assert room.operator.value(room.key) == b"hello"


def test_looking_costs_no_session(room: Room) -> None:
    """It must never look like a contender."""
    onlooker = survey(room)
    onlooker.status(room.name)
    onlooker.below()
    assert room.sessions() == set()


@each_kind
def test_a_holder_is_ended_by_its_session(room: Room) -> None:
    """It gets a loss, and a holder with another session is not touched."""
    onlooker, lock = survey(room), room.holding(watch=True)
    (holder,) = onlooker.status(name_of(room)).holders
    assert list(onlooker.sessions([holder.session])) == [holder.session]
    onlooker.destroy(holder.session)
    eventually(lock.lost.is_set)
    assert not onlooker.status(name_of(room)).held
    assert onlooker.sessions([holder.session]) == {}
    onlooker.destroy(holder.session)  # once more does no harm
    with pytest.raises(ConfigError):
        onlooker.destroy("../../kv/x")


@each_kind
def test_the_author_of_a_break_is_reported(room: Room) -> None:
    """To the one who lost it and to all who look; the first word stands."""
    onlooker, lock, name = survey(room), room.holding(watch=True), name_of(room)
    session = lock.session_id
    assert onlooker.break_of(name, session) is onlooker.status(name).last_break is None
    room.at_end(lambda: forget_breaks(room))
    made = onlooker.break_hold(name, session, "disk full")
    assert (made.session, made.reason) == (session, "disk full")
    assert made.user
    assert made.host
    eventually(lock.lost.is_set)
    assert onlooker.break_of(name, session).reason == "disk full"
    status = onlooker.status(name)
    assert (status.held, status.last_break.session) == (False, session)
    assert status in onlooker.below(room.name)
    assert onlooker.break_hold(name, session, "once more") is None
    assert onlooker.break_of(name, session).reason == "disk full"
    with pytest.raises(ConfigError):
        onlooker.break_hold(name, session, "x" * 513)


def forget_breaks(room: Room) -> None:
    """What Consul does after an hour or two: the sessions of the notes end."""
    for key, entry in room.operator.keys(room.name).items():
        if "/.break/" in key:
            room.operator.destroy(entry["Session"])


def test_a_session_says_what_is_behind_a_holder(room: Room) -> None:
    """Its node and terms; what the real agent knows of the node's checks, too."""
    onlooker, lock = survey(room), room.holding(ttl=15)
    found = onlooker.sessions([lock.session_id, "00000000-0000-0000-0000-000000000000"])
    assert list(found) == [lock.session_id]
    session = found[lock.session_id]
    assert (session.ttl, session.lock_delay, session.behavior) == (15.0, LOCK_DELAY, "release")
    assert session.node
    # The model of Consul has no health of nodes.
    if session.node_checks:
        assert session.node_checks["serfHealth"] == "passing"
    lock.release()


def test_an_idle_document_can_be_removed(room: Room) -> None:
    """So that a semaphore forgets its limit; not while somebody holds a slot."""
    onlooker, client = survey(room), room.client()
    document = '{"Limit":2,"Holders":{}}'
    key = f"{room.name}/.lock?flags=16210313421097356768"
    assert room.operator.ask("PUT", f"/v1/kv/{key}", document.encode())
    semaphore = Sync(
        client.actor.do(room.api.Semaphore, room.name, 2, client=client.thing), client.actor
    )
    idle = onlooker.status(room.name)
    assert semaphore.acquire()
    with pytest.raises(Conflict, match="is held"):
        onlooker.remove(onlooker.status(room.name))
    assert onlooker.remove(idle) is False
    semaphore.release()
    after = onlooker.status(room.name)
    assert onlooker.remove(after) is bool(after.index)
    assert onlooker.remove(after) is False
    assert onlooker.status(room.name).kind == "none"


@each_kind
def test_a_watch_sees_each_change(room: Room) -> None:
    """Of any kind, from the first look on."""
    steps = Steps(survey(room), "watch", name_of(room))
    assert not steps.next().held
    seeing = steps.start()
    lock = room.holding()
    status = seeing.result(120)
    while not status.held:  # it may have joined a queue first
        status = steps.next()
    assert status.holders[0].session == lock.session_id
    lock.release()
    while steps.next().held:
        pass
    steps.close()


@each_kind
@pytest.mark.parametrize("below", [False, True], ids=["name", "prefix"])
def test_changes_distinguish_releases_and_losses(room: Room, below: bool) -> None:
    """For one name, and for all below a prefix."""
    lock = room.holding(watch=True)
    name = f"{room.name}/" if below else name_of(room)
    steps = Steps(survey(room), "changes", name)
    seen: list[str] = []

    def until(what: str) -> Any:
        while True:
            change = steps.next()
            seen.append(change.what)
            if change.what == what:
                assert change.status.key == room.key
                return change

    first = until("held")
    assert first.holder.session == lock.session_id
    lock.release()
    assert until("released").holder == first.holder
    assert lock.acquire(timeout=30)
    again = until("acquired")
    assert again.holder.session == lock.session_id
    room.operator.destroy(lock.session_id)
    assert until("lost").holder.session == again.holder.session
    assert seen == ["held", "released", "acquired", "lost"]
    steps.close()
    eventually(lock.lost.is_set)


def test_overviews_show_each_change_below_a_prefix(room: Room) -> None:
    """Where nothing was before, too; what happens elsewhere shows nothing."""
    steps = Steps(survey(room), "overviews", f"{room.name}/")
    assert steps.next() == ([], [], False)
    seeing = steps.start()
    room.operator.put(f"{room.name}-beside", "x")
    room.left.add(f"{room.name}-beside")
    room.operator.put(f"{room.name}/plain", "x")
    room.left.add(f"{room.name}/plain")
    (found,) = seeing.result(30).locks
    assert (found.name, found.value) == (f"{room.name}/plain", b"x")
    lock = room.holding()
    seen = steps.next()
    while not seen.locks[0].held:  # it may have joined a queue first
        seen = steps.next()
    assert seen.locks[0].holders[0].session == lock.session_id
    lock.release()
    steps.close()


def test_overviews_show_each_read_to_one_who_asks_for_that(room: Room) -> None:
    """Also one without news: here that with which its time ends."""
    steps = Steps(survey(room), "overviews", f"{room.name}/", timeout=2, repeat=True)
    assert steps.next() == ([], [], False)
    assert steps.next() == ([], [], False)
    while not steps.ended():
        pass


def test_a_watch_ends_with_its_time(room: Room) -> None:
    """Not before it, and after one look at least."""
    steps = Steps(survey(room), "watch", room.name, timeout=0.5)
    begun = time.monotonic()
    assert steps.next().kind == "none"
    assert steps.ended()
    assert time.monotonic() - begun >= 0.5
    steps = Steps(survey(room), "changes", timeout=0)
    while not steps.ended():
        pass


def test_the_end_of_the_client_ends_the_watch(room: Room) -> None:
    """In the middle of its wait."""
    onlooker = survey(room)
    client = Sync(onlooker.thing._client, onlooker.actor)
    steps = Steps(onlooker, "watch", room.name)
    steps.next()
    seeing = steps.start()
    client.by(room.actor()).close()
    with pytest.raises(Unavailable):
        seeing.result(8)


def test_leftovers_of_a_dead_holder_are_deleted_after_its_lock_delay(room: Room) -> None:
    """Never before; and its status says who it was."""
    onlooker, lock = survey(room), room.holding(lock_delay=3)
    pid = onlooker.status(room.name).holders[0].pid
    destroyed = time.monotonic()
    room.operator.destroy(lock.session_id)
    eventually(lambda: not lock.held)
    (left,) = onlooker.leftovers(room.name)
    assert (left.name, left.what, left.holder.pid) == (room.name, "lock", pid)
    assert onlooker.status(room.name).last_holder.pid == pid

    def cleaned() -> bool:
        (each,) = onlooker.clean([left])
        assert each.outcome in ("delayed", "deleted")
        return each.outcome == "deleted"

    eventually(cleaned)
    assert time.monotonic() - destroyed >= 3
    assert onlooker.leftovers(room.name) == []
    with pytest.raises(LockLost):
        lock.release()
