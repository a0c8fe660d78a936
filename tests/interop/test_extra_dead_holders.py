"""Holders that are in the document and dead: counted, and pruned when it is safe."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any

from tests.interop.go_command import Peer, run_go
from tests.interop.semaphores import Slots, document, semaphore
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.waiting import eventually

Go = Callable[..., Peer]
Acquiring = Callable[[Any], "Future[float]"]

LOCK_DELAY = 3.0

# A session that there never was.
NOBODY = "0b4ac7b1-3a4c-4d7e-9bb5-6c9f3d1f1a11"


def said_false(limit: int, sessions: list[str]) -> bytes:
    """A document whose holders all have ``false``."""
    return document(limit, sessions).replace(b":true", b":false")


def test_a_holder_with_false_counts_while_it_lives(
    face: Face, client: Any, agent: Agent, go: Go
) -> None:
    """To be in the document is to hold, for both; when it dies, Go takes its slot at once."""
    slots = Slots(agent, f"false/{face.name}")
    alive, dying = slots.other_contender(), slots.other_contender()
    slots.write(said_false(2, [alive, dying]))
    slot = semaphore(face, slots.name, 2, client)
    assert slot.acquire(timeout=0.3) is False
    assert run_go(agent, "-n=2", "-timeout=300ms", slots.name, "true").returncode == 1
    assert slots.document == said_false(2, [alive, dying])
    peer = go(slots.name, "-n", "2")
    peer.waits_for_a_slot()
    slots.destroy(dying)
    peer.holds()
    assert slots.holders == {alive, peer.session}
    slots.destroy(alive)
    slots.clear()


def test_a_holder_of_go_that_dies_keeps_its_slot_for_its_lock_delay(
    face: Face, client: Any, agent: Agent, acquiring: Acquiring
) -> None:
    """Though its key is gone and consul-lock asks for less; the document is as Go writes it."""
    slots = Slots(agent, f"dying/{face.name}")
    alive, dying = slots.other_contender(), slots.other_contender(LOCK_DELAY)
    slots.write(said_false(2, [alive, dying]))
    slot = semaphore(face, slots.name, 2, client, lock_delay=2)
    had = acquiring(slot)
    eventually(lambda: len(slots.contenders) == 3)
    destroyed = monotonic()
    slots.destroy(dying)
    assert had.result(120) - destroyed >= LOCK_DELAY
    assert slots.document == document(2, [alive, slot.session_id])
    slot.release()
    slots.destroy(alive)
    slots.clear()


def test_a_holder_whose_session_never_existed_is_pruned_at_once(
    face: Face, client: Any, agent: Agent
) -> None:
    """Consul knows of no lock-delay for it, nor for one whose key was deleted by hand."""
    slots = Slots(agent, f"dead/{face.name}")
    slots.write(said_false(1, [NOBODY]))
    slot = semaphore(face, slots.name, 1, client)
    assert slot.acquire(blocking=False) is True
    assert slots.document == document(1, [slot.session_id])
    slot.release()
    slots.clear()


def test_go_prunes_at_once(agent: Agent) -> None:
    """It does not ask for the lock-delay: a lock-delay does not keep Go clients out."""
    slots = Slots(agent, "pruned")
    slots.write(document(2, [NOBODY, NOBODY[::-1]]))
    assert run_go(agent, "-n=2", "-timeout=30s", slots.name, "true").returncode == 0
    slots.clear()


def test_a_free_slot_beside_a_dead_holder_is_acquired_at_once(
    face: Face, client: Any, agent: Agent
) -> None:
    """The lock-delay keeps the dead one's slot, and no other."""
    slots = Slots(agent, f"beside/{face.name}")
    dead = slots.other_contender(60.0)
    slots.write(document(3, [dead]))
    slots.destroy(dead)
    slot = semaphore(face, slots.name, 3, client)
    assert slot.acquire(blocking=False) is True
    assert slot.acquire(timeout=0.3, n=2) is False
    assert slot.acquire(blocking=False) is True
    assert slot.acquire(timeout=0.3) is False
    assert dead in slots.holders
    slot.release()
    slot.release()
    assert dead in slots.holders
    slots.clear()
