"""The cases of the semaphore in Consul's own Go client, S1 to S9; docs/interop.md has the table."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any

import pytest

from consul_lock import ConfigError, Conflict, LockLost, NotHeld
from tests.interop.go_command import PROMPTLY, Peer, run_go
from tests.interop.semaphores import Slots, document, semaphore
from tests.support.actions import PASS
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

LOCK_FLAG = 3304740253564472344

Go = Callable[..., Peer]
Acquiring = Callable[[Any], "Future[float]"]

# With these the keeper looks at a hold every 9 s: only the watch is sooner.
SELDOM = {"ttl": 60, "lock_delay": 60}


def test_s1_acquire_release(face: Face, client: Any) -> None:
    """A release before the acquire and a second one are errors; a clean release is no loss."""
    slot = semaphore(face, "s1", 2, client)
    with pytest.raises(NotHeld):
        slot.release()
    assert slot.acquire()
    assert slot.held
    slot.ensure_held()
    slot.release()
    assert not slot.held
    assert not slot.lost.is_set()
    with pytest.raises(NotHeld):
        slot.release()


def test_s1_a_second_acquire_takes_a_second_slot(face: Face, client: Any, agent: Agent) -> None:
    """In Go it is an error; here one object may have several, as a semaphore of threads."""
    slot = semaphore(face, "s1-again", 2, client)
    assert slot.acquire()
    assert slot.acquire()
    assert len(Slots(agent, "s1-again").holders) == 2
    assert slot.acquire(blocking=False) is False
    slot.release()
    assert slot.held
    slot.release()
    with pytest.raises(NotHeld):
        slot.release()
    assert agent.keys("s1-again/") == []


def test_s2_a_destroyed_session_is_a_loss_at_once(face: Face, client: Any, agent: Agent) -> None:
    """Somebody destroys its session: the slot reports the loss at once."""
    slot = semaphore(face, f"s2-{face.name}", 2, client, **SELDOM, watch=True)
    assert slot.acquire()
    Slots(agent, slot.name).destroy(slot.session_id)
    eventually(slot.lost.is_set, PROMPTLY)
    assert slot.held is False
    with pytest.raises(LockLost):
        slot.release()


def test_s3_a_deleted_tree_is_a_loss_at_once(face: Face, client: Any, agent: Agent) -> None:
    """Document and contenders go, the sessions live: that is no slot any more."""
    slot = semaphore(face, f"s3-{face.name}", 2, client, **SELDOM, watch=True)
    assert slot.acquire()
    Slots(agent, slot.name).clear()
    eventually(slot.lost.is_set, PROMPTLY)
    assert slot.held is False
    with pytest.raises(LockLost):
        slot.release()


@pytest.mark.parametrize("gone", ["document", "holder"])
def test_s3_a_slot_that_is_taken_from_the_document_is_a_loss(
    face: Face, client: Any, agent: Agent, gone: str
) -> None:
    """The document is deleted, or written without this holder, as by a client that prunes it."""
    slot = semaphore(face, f"s3-{gone}-{face.name}", 2, client, **SELDOM, watch=True)
    assert slot.acquire()
    slots = Slots(agent, slot.name)
    if gone == "document":
        agent.request("DELETE", f"/v1/kv/{slot.name}/.lock")
    else:
        slots.write(document(2, []))
    eventually(slot.lost.is_set, PROMPTLY)
    assert slot.held is False
    slots.clear()


def test_s4_everybody_gets_a_turn(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """Two of either side want two slots that another client has; never three have one."""
    first = semaphore(face, "s4", 2, client)
    assert first.acquire(n=2)
    peers = []
    for _ in range(2):
        peers.append(go("s4", "-n", "2"))
        peers[-1].waits_for_a_slot()
    waiting = {}
    for other in [face.client(agent.address) for _ in range(2)]:
        slot = semaphore(face, "s4", 2, other)
        waiting[slot] = acquiring(slot)
    slots = Slots(agent, "s4")
    eventually(lambda: len(slots.contenders) == 6)
    first.release()

    def all_had_a_turn() -> bool:
        assert len(slots.holders) <= 2
        for slot in [slot for slot, had in waiting.items() if had.done()]:
            waiting.pop(slot).result()
            slot.release()
        for peer in peers:
            if peer.started and not peer.ended:
                peer.finish()
        return not waiting and all(peer.ended for peer in peers)

    eventually(all_had_a_turn)
    assert [peer.wait() for peer in peers] == [0, 0]


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2", True])
def test_s5_a_bad_limit_is_refused(face: Face, client: Any, limit: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError):
        semaphore(face, "s5", limit, client)


def test_s5_go_refuses_a_limit_of_zero(agent: Agent) -> None:
    """With its code for everything."""
    refused = run_go(agent, "-n=0", "s5", "true")
    assert (refused.returncode, "must be positive" in refused.stderr) == (1, True)


def test_s5_another_limit_is_a_conflict_in_the_words_of_go(
    face: Face, client: Any, agent: Agent
) -> None:
    """Both say the same words when the semaphore here has one slot and Go wants two."""
    one, two = (semaphore(face, "s5-limit", limit, client) for limit in (1, 2))
    assert one.acquire()
    words = "semaphore limit conflict (lock: 1, local: 2)"
    with pytest.raises(Conflict) as caught:
        two.acquire()
    assert words in str(caught.value)
    assert caught.value.limit == 1
    refused = run_go(agent, "-n=2", "s5-limit", "true")
    assert (refused.returncode, words in refused.stderr) == (1, True)
    one.ensure_held()
    one.release()


def test_s6_what_is_in_use_stays(face: Face, client: Any, agent: Agent, go: Go) -> None:
    """Each side's end finds the other one holding, and leaves the document; the last removes it."""
    slots = Slots(agent, "s6")
    slot = semaphore(face, "s6", 3, client)
    assert slot.acquire()
    peer = go("s6", "-n", "3")
    peer.holds()
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert slots.document == document(3, [slot.session_id])
    slot.ensure_held()
    peer = go("s6", "-n", "3")
    peer.holds()
    slot.release()
    assert slots.document == document(3, [peer.session])
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert slots.entry is None


def test_s7_a_lock_is_a_conflict(face: Face, client: Any, agent: Agent, go: Go) -> None:
    """On acquire; and the trailing slash of the Go test is refused, with the name to use."""
    name = f"s7-{face.name}"
    peer = go(f"{name}/")
    peer.holds()
    before = agent.entry(f"{name}/.lock")
    with pytest.raises(ConfigError, match=f"use '{name}'"):
        semaphore(face, f"{name}/", 2, client)
    slot = semaphore(face, name, 2, client)
    with pytest.raises(Conflict) as caught:
        slot.acquire()
    assert (caught.value.flags, caught.value.key) == (LOCK_FLAG, f"{name}/.lock")
    assert slot.held is False
    assert agent.entry(f"{name}/.lock") == before
    assert agent.keys(f"{name}/") == [f"{name}/.lock"]
    refused = run_go(agent, "-n=2", f"{name}/", "true")
    assert (refused.returncode, "not match semaphore use" in refused.stderr) == (1, True)


def test_s8_errors_on_the_watch_are_no_loss(face: Face, agent: Agent, go: Go) -> None:
    """Ten failures lose Go's slot only.  The name ends in ".lock", as in the Go test."""
    failure = Answer(500, {}, b"No cluster leader")
    name = f"s8-{face.name}/.lock"
    with Proxy(agent.address) as proxy:
        client = face.client(proxy.address)
        slot = semaphore(face, name, 2, client, watch=True)
        assert slot.acquire()
        peer = go(name, "-n", "2")
        peer.holds()
        assert Slots(agent, name).document == document(2, [slot.session_id, peer.session])
        proxy.reset()
        proxy.rule = lambda method, path, body, n: failure if method == "GET" else PASS
        proxy.cut()
        eventually(lambda: proxy.count("GET") >= 10)
        slot.ensure_held()
        assert not slot.lost.is_set()
        proxy.rule = None
        slot.release()
        client.close()
    assert agent.keys(f"{name}/") != []
    peer.finish()
    assert peer.wait() == 0, peer.output


def test_s9_a_wait_with_a_limit_ends_in_time(face: Face, client: Any, agent: Agent, go: Go) -> None:
    """One of Go and one of consul-lock have it, the third gives up in time, and gets it later."""
    peer = go("s9", "-n", "2")
    peer.holds()
    one, two = (semaphore(face, "s9", 2, client) for _ in range(2))
    assert one.acquire(timeout=20)
    begin = monotonic()
    assert two.acquire(timeout=0.25) is False
    assert 0.25 <= monotonic() - begin < PROMPTLY
    assert two.acquire(blocking=False) is False
    assert len(Slots(agent, "s9").contenders) == 2
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert two.acquire(timeout=20)
    one.release()
    two.release()
    assert agent.keys("s9/") == []
