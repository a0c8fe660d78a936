"""The read/write lock, and the tree lock, which is made of the same: who is let in beside whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock import AlreadyHeld, ConfigError, NotHeld
from tests.contract.fixture import LOCK_DELAY, Room, seen_to_wait, until_queued
from tests.support.apis import Sync
from tests.support.waiting import eventually

Make = Callable[..., Sync]


@pytest.fixture
def side(room: Room) -> Make:
    """One side of the test's read/write lock: ``side("read")``, of a client of its own."""

    def make(which: str, **options: Any) -> Sync:
        client = room.client(room.actor())
        asked = {"lock_delay": LOCK_DELAY, "client": client.thing, **options}
        made = client.actor.do(room.api.ReadWriteLock, room.name, **asked)
        return Sync(getattr(made, which)(), client.actor)

    return make


@pytest.fixture
def node(room: Room) -> Make:
    """A tree lock below the name of the test: ``node("a/b")``, of a client of its own."""

    def make(path: str, **options: Any) -> Sync:
        client = room.client(room.actor())
        asked = {"lock_delay": LOCK_DELAY, "client": client.thing, "tree": True, **options}
        name = f"{room.name}/{path}" if path else room.name
        return Sync(client.actor.do(room.api.Lock, name, **asked), client.actor)

    return make


def test_readers_are_in_together_and_a_writer_alone(side: Make) -> None:
    """In every combination of two."""
    for first, second, together in (
        ("read", "read", True),
        ("read", "write", False),
        ("write", "read", False),
        ("write", "write", False),
    ):
        one, other = side(first), side(second)
        assert one.acquire(timeout=0)
        assert other.acquire(timeout=0) is together, (first, second)
        one.release()
        if not together:
            assert other.acquire(timeout=0)
        other.release()


def test_a_reader_behind_a_waiting_writer_waits(side: Make) -> None:
    """Else a stream of readers would keep the writer out for ever."""
    reader, writer, late = side("read"), side("write"), side("read")
    assert reader.acquire()
    writing = writer.start("acquire")
    until_queued(reader, 1)
    assert not late.acquire(timeout=0)
    reading = late.start("acquire")
    until_queued(reader, 2)
    reader.release()
    assert writing.result(120) is True
    assert not reading.done()
    writer.release()
    assert reading.result(120) is True
    late.release()


def test_readers_that_wait_are_let_in_together(side: Make) -> None:
    """By the one release of the writer."""
    writer, readers = side("write"), [side("read") for _ in range(4)]
    assert writer.acquire()
    waiting = []
    for number, reader in enumerate(readers, 1):
        waiting.append(reader.start("acquire"))
        until_queued(writer, number)
    writer.release()
    assert [future.result(120) for future in waiting] == [True] * 4
    assert len({reader.actor.do(lambda r=reader: r.thing.token) for reader in readers}) == 1
    assert len(readers[0].holders()) == 4
    for reader in readers:
        reader.release()


def test_a_writer_that_gives_up_lets_the_readers_behind_it_in(side: Make) -> None:
    """They waited for nobody else."""
    reader, writer, late = side("read"), side("write"), side("read")
    assert reader.acquire()
    writing = seen_to_wait(
        lambda: writer.start("acquire", timeout=0.7), lambda: len(reader.waiters()) == 1
    )
    reading = late.start("acquire")
    assert writing.result(120) is False
    assert reading.result(120) is True
    reader.release()
    late.release()


def test_downgrade_lets_readers_in_and_no_writer(side: Make) -> None:
    """The former writer goes on reading, and releases as before."""
    writer, reader, other = side("write"), side("read"), side("write")
    assert writer.acquire()
    reading = reader.start("acquire")
    until_queued(writer, 1)
    writer.downgrade()
    assert reading.result(120) is True
    assert writer.held
    assert not other.acquire(timeout=0)
    reader.release()
    assert not other.acquire(timeout=0)
    writer.downgrade()  # once more changes nothing
    writer.release()
    assert other.acquire(timeout=0)
    other.release()
    with pytest.raises(NotHeld):
        writer.downgrade()


def test_in_one_process_a_downgrade_lets_readers_in_too(room: Room) -> None:
    """They queued inside the process, behind the writer."""
    client = room.client()
    rw = client.actor.do(room.api.ReadWriteLock, room.name, client=client.thing)
    write, read = Sync(rw.write(), client.actor), Sync(rw.read(), room.actor())
    assert write.acquire()
    reading = read.start("acquire")
    assert not reading.done()
    write.downgrade()
    assert reading.result(120) is True
    write.release()
    read.release()


def test_nobody_waits_for_itself(side: Make, room: Room) -> None:
    """A reader that wants to write as well, or a writer that wants to read, would."""
    client = room.client()
    rw = client.actor.do(room.api.ReadWriteLock, room.name, client=client.thing)
    read, write = Sync(rw.read(), client.actor), Sync(rw.write(), client.actor)
    assert read.acquire()
    assert read.acquire()  # readers are let in together
    with pytest.raises(AlreadyHeld):
        write.acquire()
    assert not write.acquire(timeout=0)
    read.release()
    read.release()
    assert write.acquire()
    with pytest.raises(AlreadyHeld):
        read.acquire()
    write.release()


@pytest.mark.parametrize("same_client", [True, False], ids=["in the process", "in Consul"])
def test_a_holder_does_not_wait_behind_those_that_wait_for_it(
    room: Room, side: Make, same_client: bool
) -> None:
    """A reader that reads once more overtakes a waiting writer: both would wait for ever."""
    client = room.client()
    rw = client.actor.do(room.api.ReadWriteLock, room.name, client=client.thing)
    read = Sync(rw.read(), client.actor)
    write = Sync(rw.write(), room.actor()) if same_client else side("write")
    assert read.acquire()
    writing = write.start("acquire")
    if same_client:
        eventually(lambda: any(t.waiting for t in client.thing._core.local_queues._queues.values()))
    else:
        until_queued(read, 1)
    assert read.start("acquire").result(120) is True
    read.release()
    assert not writing.done()
    read.release()
    assert writing.result(120) is True
    write.release()


def test_a_holder_in_a_tree_does_not_wait_behind_those_that_wait_for_it(
    room: Room, node: Make
) -> None:
    """A second branch, while somebody waits for the trunk."""
    client = room.client()
    first, second = (
        Sync(
            client.actor.do(room.api.Lock, f"{room.name}/{path}", client=client.thing, tree=True),
            client.actor,
        )
        for path in ("a", "b")
    )
    trunk = node("")
    assert first.acquire()
    waiting = trunk.start("acquire")
    until_queued(node(""), 1)
    assert second.start("acquire").result(120) is True
    first.release()
    second.release()
    assert waiting.result(120) is True
    trunk.release()


def test_both_sides_are_always_the_same_objects(room: Room) -> None:
    """So ``rw.read().acquire()`` and ``rw.read().release()`` belong together."""
    client = room.client()
    rw = client.actor.do(room.api.ReadWriteLock, room.name, client=client.thing)
    assert rw.read() is rw.read()
    assert rw.write() is rw.write()
    assert rw.name == rw.read().name == room.name


@pytest.mark.parametrize(
    "one, other, together",
    [
        ("user/42", "user", False),
        ("user/42", "user/42/cart", False),
        ("user/4", "user/42", True),
    ],
)
def test_a_tree_lock_excludes_what_is_above_and_below(
    node: Make, one: str, other: str, together: bool
) -> None:
    """And nothing beside it; whichever comes first."""
    for first, second in ((one, other), (other, one)):
        here, there = node(first), node(second)
        assert here.acquire(timeout=0)
        assert there.acquire(timeout=0) is together
        if together:
            there.release()
        here.release()


def test_a_waiter_on_a_tree_gets_its_turn(node: Make) -> None:
    """Above, below and in it, in the order in which they came."""
    holder = node("user/42")
    paths = ["user", "user/42/cart", "user/42"]
    waiters = [node(path) for path in paths]
    assert holder.acquire()
    waiting = []
    # A waiter for the cart is in the queue of the user, too.
    for waiter, path, count in zip(waiters, paths, (1, 1, 2), strict=True):
        waiting.append(waiter.start("acquire"))
        until_queued(node(path), count)
    for waiter, future in zip(waiters, waiting, strict=True):
        holder.release()
        assert future.result(120) is True
        holder = waiter
    holder.release()


def test_a_tree_lock_and_a_read_write_lock_see_each_other(
    room: Room, node: Make, side: Make
) -> None:
    """A tree lock reads what is above it, and writes its own node."""
    below, reader, writer = node("below"), side("read"), side("write")
    assert below.acquire()
    assert reader.acquire(timeout=0)
    assert not writer.acquire(timeout=0)
    assert not node("").acquire(timeout=0)
    below.release()
    reader.release()


def test_a_path_that_is_too_deep_is_refused(room: Room, node: Make) -> None:
    """Each of its nodes takes part in one transaction, which has an end."""
    with pytest.raises(ConfigError, match="deep"):
        node("/".join("abcdefghijklmnopq"))
    with pytest.raises(ConfigError, match="tree=True"):
        room.api.Lock.on_key(room.name, tree=True, client=room.client().thing)
