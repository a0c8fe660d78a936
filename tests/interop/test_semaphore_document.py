"""The document of a semaphore: the bytes of Go, and what one side makes of what the other left."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.interop.go_command import Peer
from tests.interop.semaphores import SEMAPHORE_FLAG, Slots, document, semaphore
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.proxy import Proxy

Go = Callable[..., Peer]


@pytest.mark.parametrize("order", ["ggg", "uuu", "gug", "ugu"])
def test_the_document_is_byte_for_byte_that_of_go(
    face: Face, client: Any, agent: Agent, go: Go, order: str
) -> None:
    """Each side writes it last in turn, with one, two and three holders of either side."""
    slots = Slots(agent, f"bytes/{order}")
    sessions: list[str] = []
    held: list[Any] = []
    for side in order:
        if side == "g":
            peer = go(slots.name, "-n", "3")
            peer.holds()
            held.append(peer)
            sessions.append(peer.session)
        else:
            slot = semaphore(face, slots.name, 3, client)
            assert slot.acquire()
            held.append(slot)
            sessions.append(slot.session_id)
        assert slots.document == document(3, sessions)
        entry = slots.entry
        assert entry is not None
        assert (entry["Flags"], entry.get("Session")) == (SEMAPHORE_FLAG, None)
        contender = agent.entry(f"{slots.name}/{sessions[-1]}")
        assert contender is not None
        assert (contender["Flags"], contender["Session"]) == (SEMAPHORE_FLAG, sessions[-1])
    assert slots.contenders == set(sessions)
    for holder in held:
        sessions.pop(0)
        if isinstance(holder, Peer):
            holder.finish()
            assert holder.wait() == 0, holder.output
        else:
            holder.release()
        assert slots.document == (document(3, sessions) if sessions else None)


@pytest.fixture
def written(face: Face, agent: Agent) -> Iterator[tuple[Any, Callable[[], list[bytes]]]]:
    """A client, and all documents it has written so far."""
    with Proxy(agent.address) as proxy:
        client = face.client(proxy.address)

        def documents() -> list[bytes]:
            bodies = [seen.body for seen in proxy.log if seen.kind == "txn"]
            writes = [op["KV"] for body in bodies for op in json.loads(body) if "KV" in op]
            return [
                base64.b64decode(write["Value"])
                for write in writes
                if write["Key"].endswith("/.lock") and write.get("Value")
            ]

        yield client, documents
        client.close()


def test_every_document_of_consul_lock_is_one_of_go(
    face: Face, agent: Agent, go: Go, written: tuple[Any, Callable[[], list[bytes]]]
) -> None:
    """Also those that are seen for a moment only: an empty one has {} and never null."""
    client, documents = written
    peer = go("forms", "-n", "3")
    peer.holds()
    slot = semaphore(face, "forms", 3, client)
    for n in (1, 2):
        assert slot.acquire(n=n)
        slot.release()
    assert slot.acquire(n=3, timeout=0.1) is False
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert slot.acquire(n=3)
    late = go("forms", "-n", "3")
    late.waits_for_a_slot()
    slot.release()
    late.holds()
    found = documents()
    assert found
    for each in found:
        assert each == document(3, json.loads(each)["Holders"])


def test_go_goes_on_from_what_a_release_leaves(
    face: Face, client: Any, agent: Agent, go: Go
) -> None:
    """No document, as the holder came alone; Go, which was frozen, begins a new one."""
    slots = Slots(agent, "left")
    slot = semaphore(face, "left", 3, client)
    assert slot.acquire(n=3)
    peer = go("left", "-n", "3")
    peer.waits_for_a_slot()
    peer.freeze()
    slot.release()
    assert slots.document in (None, document(3, []))
    assert slots.contenders == {peer.session}
    peer.thaw()
    peer.holds()
    assert slots.document == document(3, [peer.session])
    peer.finish()
    assert peer.wait() == 0, peer.output


def test_go_goes_on_from_an_empty_document_of_consul_lock(
    face: Face, client: Any, agent: Agent, go: Go
) -> None:
    """The holder was not alone, so its release sees the waiting Go, and leaves `{}` of holders."""
    slots = Slots(agent, "emptied")
    first = go("emptied", "-n", "2")
    first.holds()
    slot = semaphore(face, "emptied", 2, client)
    assert slot.acquire()
    late = go("emptied", "-n", "2")
    late.waits_for_a_slot()
    late.freeze()
    first.finish()
    assert first.wait() == 0, first.output
    slot.release()
    assert slots.document == document(2, [])
    entry = slots.entry
    assert entry is not None
    assert entry["Flags"] == SEMAPHORE_FLAG
    late.thaw()
    late.holds()
    assert slots.document == document(2, [late.session])
    late.finish()
    assert late.wait() == 0, late.output


def test_go_goes_on_from_what_the_release_of_a_lock_leaves(
    face: Face, client: Any, agent: Agent, go: Go
) -> None:
    """No key with flags of nobody: the write that unlocks it deletes it, and Go makes its own."""
    lock = face.lock("left-lock", client)
    assert lock.acquire()
    peer = go("left-lock")
    peer.waits()
    peer.freeze()
    lock.release()
    assert agent.keys("left-lock") == []
    peer.thaw()
    peer.holds()
    entry = agent.entry("left-lock/.lock")
    assert entry is not None
    assert entry["Flags"] == 3304740253564472344


@pytest.mark.parametrize("value", [b"", document(2, [])])
def test_an_empty_document_is_taken_by_both(
    face: Face, client: Any, agent: Agent, go: Go, value: bytes
) -> None:
    """Without holders, or without a value at all, as Go reads it."""
    slots = Slots(agent, f"empty/{len(value)}")
    slots.write(value)
    slot = semaphore(face, slots.name, 2, client)
    assert slot.acquire(timeout=20)
    assert slots.document == document(2, [slot.session_id])
    slot.release()
    slots.write(value)
    peer = go(slots.name, "-n", "2")
    peer.holds()
    assert slots.document == document(2, [peer.session])
    slots.clear()


def test_holders_shows_which_of_them_is_of_go(
    face: Face, client: Any, agent: Agent, go: Go
) -> None:
    """`holders` names both, and knows which of them is a Go client."""
    peer = go("who", "-n", "2")
    peer.holds()
    slot = semaphore(face, "who", 2, client, meta={"why": "interop"})
    assert slot.acquire()
    found = {holder.session: holder for holder in slot.holders()}
    assert set(found) == {peer.session, slot.session_id}
    assert found[peer.session].foreign
    assert found[slot.session_id].meta == {"why": "interop"}
    slot.release()
