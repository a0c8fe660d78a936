"""`consul lock` beside the primitives that it does not have."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from consul_lock import Conflict, LockTimeout
from tests.interop.go_command import Peer, run_go
from tests.interop.primitives import primitive, writer
from tests.interop.semaphores import Slots
from tests.support.agent import Agent
from tests.support.apis import Face

Go = Callable[..., Peer]
Acquiring = Callable[[Any], "Future[float]"]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("kind", ["read-write", "tree"])
def test_a_read_write_lock_is_a_conflict(
    face: Face, client: Any, agent: Agent, go: Go, kind: str, n: int
) -> None:
    """For Go, which knows no such flags; and for consul-lock while Go has the name."""
    name = f"{kind}/lock-{n}"
    held = writer(face, name, client)
    if kind == "tree":
        held = face.lock(name, client, tree=True)
    assert held.acquire()
    before = Slots(agent, name).state
    refused = run_go(agent, f"-n={n}", name, "true")
    assert (refused.returncode, "Existing key does not match" in refused.stderr) == (1, True)
    assert agent.entry(f"{name}/.lock") in before
    held.ensure_held()
    held.release()
    peer = go(name, f"-n={n}")
    peer.holds()
    before = Slots(agent, name).state
    with pytest.raises(Conflict) as caught:
        held.acquire()
    assert caught.value.key == f"{name}/.lock"
    assert Slots(agent, name).state == before


def test_several_locks_at_once_exclude_go_on_each_of_them(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """While Go has one of them, MultiLock gets none; then it has all, and Go waits for either."""
    names = ["multi/one", "multi/two"]
    locks = primitive(face, "MultiLock", names, client=client)
    first = go("multi/two")
    first.holds()
    assert locks.acquire(blocking=False) is False
    assert agent.keys("multi/") == ["multi/two/.lock"]
    had = acquiring(locks)
    first.finish()
    had.result(120)
    assert first.wait() == 0, first.output
    peers = [go(name) for name in names]
    for peer in peers:
        peer.waits()
    locks.ensure_held()
    locks.release()
    for peer in peers:
        peer.holds()
        peer.finish()
        assert peer.wait() == 0, peer.output


def test_an_election_is_a_lock_of_go(face: Face, client: Any, agent: Agent, go: Go) -> None:
    """Go leads, and says nothing; it waits while the candidate leads, and leads after it."""
    election = primitive(face, "Election", "elected", client=client)
    peer = go("elected")
    peer.holds()
    with pytest.raises(LockTimeout):
        election.campaign("us", timeout=0.3)
    leader = election.leader()
    assert (leader.value, leader.holder.session, leader.holder.foreign) == ("", peer.session, True)
    peer.finish()
    assert peer.wait() == 0, peer.output
    election.campaign("us", timeout=20)
    assert election.leader().value == "us"
    peer = go("elected")
    peer.waits()
    election.proclaim("still leading")
    peer.waits()
    election.resign()
    peer.holds()
    assert not election.is_leader


def test_go_waits_for_the_last_release_of_a_re_entrant_lock(
    face: Face, client: Any, go: Go
) -> None:
    """It is a lock as any other: the inner release lets nobody in."""
    if face.name == "asyncio":
        pytest.skip("here each call is a task of its own, which is not the owner")
    lock = primitive(face, "RLock", "again", client=client)
    assert lock.acquire()
    assert lock.acquire()
    peer = go("again")
    peer.waits()
    lock.release()
    peer.waits()
    lock.release()
    peer.holds()
