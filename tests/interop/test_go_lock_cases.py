"""The test cases of the lock in Consul's own Go client, L1 to L9; docs/interop.md has the table."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any

import pytest

from consul_lock import AlreadyHeld, Conflict, LockLost, LossReason, NotHeld
from tests.interop.go_command import PROMPTLY, Peer
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.waiting import eventually

Go = Callable[..., Peer]
Acquiring = Callable[[Any], "Future[float]"]

# With these the keeper looks at a hold every 9 s: only the watch is sooner.
SELDOM = {"ttl": 60, "lock_delay": 60}


def test_l1_lock_lock_unlock(face: Face, client: Any) -> None:
    """A release before the lock and a second one are errors; a second acquire does not succeed."""
    lock = face.lock("l1", client)
    with pytest.raises(NotHeld):
        lock.release()
    assert lock.acquire()
    assert lock.acquire(blocking=False) is False
    lock.ensure_held()
    lock.release()
    assert not lock.held
    with pytest.raises(NotHeld):
        lock.release()


def test_l1_a_second_acquire_of_the_same_owner_is_an_error(client: Any, face: Face) -> None:
    """Waiting for oneself would never end, so it is refused."""
    if face.name != "threads":
        pytest.skip("here each call is a task of its own, so there is no same owner")
    lock = face.lock("l1-again", client)
    with lock, pytest.raises(AlreadyHeld):
        lock.acquire()


def test_l2_a_destroyed_session_is_a_loss_at_once(face: Face, client: Any, agent: Agent) -> None:
    """Somebody destroys its session: the lock reports the loss at once."""
    lock = face.lock(f"l2-{face.name}", client, **SELDOM, watch=True)
    assert lock.acquire()
    agent.request("PUT", f"/v1/session/destroy/{lock.session_id}")
    eventually(lock.lost.is_set, PROMPTLY)
    assert (lock.held, lock.lost_reason) == (False, LossReason.SESSION_INVALID)
    with pytest.raises(LockLost):
        lock.release()


def test_l3_a_deleted_key_is_a_loss(face: Face, client: Any, agent: Agent) -> None:
    """Ten rounds, as in Go: the index that the watch begins with must not matter."""
    for _ in range(10):
        lock = face.lock("l3", client, **SELDOM, watch=True)
        assert lock.acquire()
        agent.request("DELETE", "/v1/kv/l3/.lock")
        eventually(lock.lost.is_set, PROMPTLY)
        assert (lock.held, lock.lost_reason) == (False, LossReason.KEY_DELETED)


def test_l4_everybody_gets_a_turn(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """Two clients of consul-lock and one of Go want the same lock."""
    others = [face.client(agent.address) for _ in range(2)]
    first = face.lock("l4", client)
    assert first.acquire()
    peer = go("l4")
    peer.waits()
    locks = [face.lock("l4", other) for other in others]
    turns = []
    for place, lock in enumerate(locks, 1):
        turns.append((lock, acquiring(lock)))
        eventually(lambda place=place: len(agent.keys("l4/.queue/")) == place)
    first.release()
    for lock, had in turns:
        had.result(120)
        lock.release()
    peer.holds()
    peer.finish()
    assert peer.wait() == 0, peer.output
    for other in others:
        other.close()


def test_l5_go_leaves_a_key_in_use_alone(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """Go's clean-up finds the next waiter holding the lock: no error there, no loss here."""
    peer = go("l5")
    peer.holds()
    lock = face.lock("l5", client, watch=True)
    had = acquiring(lock)
    eventually(lambda: agent.keys("l5/.queue/"))
    peer.finish()
    had.result(120)
    assert peer.wait() == 0, peer.output
    lock.ensure_held()
    entry = agent.entry("l5/.lock")
    assert entry is not None
    assert entry["Session"] == lock.session_id
    lock.release()
    assert agent.keys("l5") == []


def test_l6_a_semaphore_is_a_conflict(face: Face, client: Any, go: Go) -> None:
    """On acquire; questions are answered all the same."""
    peer = go("l6", "-n", "3")
    peer.holds()
    lock = face.lock("l6", client)
    with pytest.raises(Conflict):
        lock.acquire()
    assert lock.held is False
    assert lock.locked() is False


def test_l7_two_locks_of_one_session_do_not_share_the_hold(face: Face, client: Any) -> None:
    """Go lets the second one in at once; here one object holds, the other one waits."""
    session = face.session(client)
    inner = getattr(session, "inner", session)
    one, two = (face.lock("l7", client, session=inner) for _ in range(2))
    assert one.acquire()
    assert two.acquire(blocking=False) is False
    assert (one.held, two.held) == (True, False)
    one.release()
    assert two.acquire(blocking=False) is True
    assert two.session_id == session.id
    two.release()


def test_l9_a_wait_with_a_limit_ends_in_time(face: Face, client: Any, go: Go) -> None:
    """Neither too early nor, as Go's own, seconds too late; afterwards it can be acquired."""
    peer = go("l9")
    peer.holds()
    lock = face.lock("l9", client)
    begin = monotonic()
    assert lock.acquire(timeout=0.25) is False
    assert 0.25 <= monotonic() - begin < PROMPTLY
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert lock.acquire(timeout=20)
    lock.release()
