"""`consul lock -n N` and semaphores of consul-lock share the slots of one name."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

from tests.interop.go_command import PROMPTLY, Peer, run_go
from tests.interop.semaphores import Slots, document, semaphore
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.waiting import eventually

Go = Callable[..., Peer]
Acquiring = Callable[[Any], "Future[float]"]


def test_three_of_go_hold_and_consul_lock_waits(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """A slot is acquired at once after the end of one of them, and they keep theirs."""
    peers = [go("turns/go", "-n", "3") for _ in range(3)]
    for peer in peers:
        peer.holds()
    slots = Slots(agent, "turns/go")
    slot = semaphore(face, "turns/go", 3, client)
    assert slot.acquire(blocking=False) is False
    had = acquiring(slot)
    eventually(lambda: len(slots.contenders) == 4)
    assert not had.done()
    first, *rest = peers
    ended = first.finish()
    assert had.result(120) - ended < PROMPTLY
    assert first.wait() == 0, first.output
    assert slots.holders == {slot.session_id, *(peer.session for peer in rest)}
    for peer in rest:
        peer.finish()
        assert peer.wait() == 0, peer.output
    slot.ensure_held()
    slot.release()
    assert slots.state is None


def test_three_of_consul_lock_hold_and_go_waits(
    face: Face, client: Any, agent: Agent, go: Go
) -> None:
    """Go starts at once after the release of one of them; the others keep theirs."""
    slots = Slots(agent, "turns/ours")
    held = [semaphore(face, "turns/ours", 3, client) for _ in range(3)]
    for slot in held:
        assert slot.acquire()
    peer = go("turns/ours", "-n", "3")
    peer.waits_for_a_slot()
    first, *rest = held
    first.release()
    released = monotonic()
    assert peer.holds() - released < PROMPTLY
    assert slots.holders == {peer.session, *(slot.session_id for slot in rest)}
    assert first.acquire(blocking=False) is False
    for slot in rest:
        slot.ensure_held()
        slot.release()
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert slots.entry is None


def test_several_slots_at_a_time_wait_for_go(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """Two slots or none: one free slot beside two of Go is not taken."""
    peers = [go("turns/two", "-n", "3") for _ in range(2)]
    for peer in peers:
        peer.holds()
    slot = semaphore(face, "turns/two", 3, client)
    assert slot.acquire(timeout=0.2, n=2) is False
    assert Slots(agent, "turns/two").holders == {peer.session for peer in peers}
    peers[0].finish()
    assert slot.acquire(timeout=20, n=2)
    assert len(Slots(agent, "turns/two").holders) == 3
    slot.ensure_held()
    slot.release()


def test_the_clean_up_of_consul_lock_meets_a_waiting_go(
    face: Face, client: Any, agent: Agent, go: Go
) -> None:
    """At whatever moment: Go gets its slot, and the last of all leaves no key."""
    slot = semaphore(face, "cleaning", 2, client)
    for moment in range(6):
        assert slot.acquire(n=2, timeout=20)
        peer = go("cleaning", "-n", "2")
        if moment % 3 == 1:
            assert peer.session
        elif moment % 3 == 2:
            peer.waits_for_a_slot()
        slot.release()
        peer.holds()
        peer.finish()
        assert peer.wait() == 0, peer.output
    assert agent.keys("cleaning/") == []


def test_the_clean_up_of_go_meets_an_acquire_of_consul_lock(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """It deletes the document by check-and-set when it is empty: never one with a holder in it."""
    for _ in range(5):
        slot = semaphore(face, "cleaned", 2, client)
        peers = [go("cleaned", "-n", "2") for _ in range(2)]
        for peer in peers:
            peer.holds()
        had = acquiring(slot)
        for peer in peers:
            peer.finish()
        had.result(120)
        assert [peer.wait() for peer in peers] == [0, 0]
        slot.ensure_held()
        assert Slots(agent, "cleaned").document == document(2, [slot.session_id])
        slot.release()
    assert agent.keys("cleaned/") == []


def test_never_more_than_the_limit_are_inside(face: Face, agent: Agent, tmp_path: Path) -> None:
    """Three of Go and three of consul-lock, each again and again, count who is there with them."""
    inside = tmp_path / "inside"
    inside.mkdir()
    script = f"cd '{inside}' && touch $$ && sleep 0.02 && ls >>../seen.$$ && rm $$"

    def go_in(times: int) -> None:
        for _ in range(times):
            done = run_go(agent, "-n=2", "-child-exit-code", "inside", script)
            assert done.returncode == 0, done.stderr

    def consul_lock_goes_in(times: int) -> int:
        client = face.client(agent.address)
        slot = semaphore(face, "inside", 2, client)
        most = 0
        for turn in range(times):
            assert slot.acquire(timeout=60)
            mine = inside / f"{slot.session_id}-{turn}"
            mine.touch()
            most = max(most, len(list(inside.iterdir())))
            mine.unlink()
            slot.release()
        client.close()
        return most

    with ThreadPoolExecutor(6) as threads:
        of_go = [threads.submit(go_in, 6) for _ in range(3)]
        of_consul_lock = [threads.submit(consul_lock_goes_in, 15) for _ in range(3)]
        for future in of_go:
            future.result()
        most = [future.result() for future in of_consul_lock]
    seen = [len(file.read_text().splitlines()) for file in tmp_path.glob("seen.*")]
    assert len(seen) == 18
    assert max(seen + most) <= 2
    assert agent.keys("inside/") == []


def test_slot_numbers_do_not_concern_go(face: Face, client: Any, agent: Agent, go: Go) -> None:
    """It takes the slot between two holders that have slot numbers, and leaves no trace in them."""
    slots = Slots(agent, "turns/numbers")
    held = [semaphore(face, "turns/numbers", 3, client) for _ in range(2)]
    for number, slot in enumerate(held):
        assert slot.acquire()
        assert slot.slots() == (number,)
    peer = go("turns/numbers", "-n", "3")
    peer.holds()
    assert slots.document == document(3, {peer.session, *(slot.session_id for slot in held)})
    held[0].release()
    assert held[0].acquire()
    assert set(held[0].slots()) < {0, 1, 2} - set(held[1].slots())
    peer.finish()
    assert peer.wait() == 0, peer.output
    for slot in held:
        slot.ensure_held()
        slot.release()
    assert slots.state is None
