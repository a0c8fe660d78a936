"""Releasing, tokens, and using a lock again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from consul_lock import NotHeld
from tests.contract.fixture import Room
from tests.contract.lock_kinds import each_kind
from tests.support.apis import Sync

pytestmark = each_kind


def test_releasing_what_is_not_held_is_an_error(room: Room) -> None:
    """NotHeld before the first acquire, and after the release, each time."""
    lock = room.lock()
    with pytest.raises(NotHeld):
        lock.release()
    assert lock.acquire()
    lock.release()
    for _ in range(2):
        with pytest.raises(NotHeld):
            lock.release()
    with pytest.raises(NotHeld):
        lock.ensure_held()


def test_another_object_does_not_release_it(room: Room) -> None:
    """Two objects of one client and name are two locks: each releases what it acquired."""
    lock, double = room.holding(), room.lock()
    with pytest.raises(NotHeld):
        double.release()
    assert lock.locked()
    lock.release()


def test_any_thread_or_task_may_release(room: Room) -> None:
    """A lock is a handle: any user of the object may end the hold, unless it has an owner."""
    lock = room.holding()
    if room.kind.reentrant:
        with pytest.raises(NotHeld):
            lock.by(room.actor()).release()
        assert lock.held
        lock.release()
    else:
        lock.by(room.actor()).release()
    assert not lock.held
    assert not lock.locked()
    assert lock.acquire(timeout=0)
    lock.release()


def test_a_lock_can_be_used_again_and_again(room: Room) -> None:
    """Acquire and release leave an object as good as new."""
    lock = room.lock()
    for _ in range(5):
        assert lock.acquire(timeout=0)
        lock.release()
    with lock, pytest.raises(NotHeld):
        room.lock().release()


def test_tokens_grow_with_each_acquire(room: Room) -> None:
    """A later hold has a higher token, of whatever client, deleted key or not."""
    mine, others = room.lock(), room.others_lock()
    tokens = []
    for _ in range(3):
        for lock in (mine, others):
            assert lock.acquire()
            tokens.append(lock.token)
            lock.release()
            assert room.operator.keys(room.name) == {}
    assert tokens == sorted(set(tokens))


def test_tokens_grow_with_each_handing_over(room: Room) -> None:
    """From client to client through the queue, and from user to user of one client."""
    first, others = room.holding(), room.others_lock()
    tokens = [first.token]
    users = [first.by(room.actor()), first.by(room.actor()), others, others.by(room.actor())]

    def enter(user: Sync) -> None:
        with user:
            tokens.append(user.token)

    with ThreadPoolExecutor() as pool:
        entering = pool.map(enter, users)
        room.in_line(1)
        first.release()
        list(entering)
    assert len(tokens) == 5
    assert tokens == sorted(set(tokens))


def test_the_token_stays_known_after_the_release(room: Room) -> None:
    """So that earlier writes can be compared with it."""
    lock = room.holding()
    token = lock.token
    lock.release()
    assert lock.token == token
    assert lock.session_id is None


def test_a_lock_is_neither_true_nor_false(room: Room) -> None:
    """`if lock:` is a slip for `if lock.held:`, so it is an error."""
    lock = room.lock()
    with pytest.raises(TypeError, match="held"):
        bool(lock.thing)
    assert room.name in repr(lock.thing)
