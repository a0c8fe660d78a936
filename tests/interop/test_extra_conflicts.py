"""Two uses or two limits of one name: each side says so, and nobody's keys are touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock import Conflict
from tests.interop.go_command import Peer, run_go
from tests.interop.semaphores import SEMAPHORE_FLAG, Slots, document, semaphore
from tests.support.agent import Agent
from tests.support.apis import Face

LOCK_FLAG = 3304740253564472344

Go = Callable[..., Peer]


@pytest.mark.parametrize("blocking", [True, False])
def test_another_limit_than_that_of_go_is_a_conflict(
    face: Face, client: Any, agent: Agent, go: Go, blocking: bool
) -> None:
    """The message is Go's; its document stays, and consul-lock leaves no contender."""
    peer = go("limits/go", "-n", "3")
    peer.holds()
    slots = Slots(agent, "limits/go")
    before = slots.state
    for limit in (2, 4):
        slot = semaphore(face, "limits/go", limit, client)
        with pytest.raises(Conflict) as caught:
            slot.acquire(blocking=blocking)
        assert f"semaphore limit conflict (lock: 3, local: {limit})" in str(caught.value)
        assert (caught.value.limit, caught.value.key) == (3, "limits/go/.lock")
    assert slots.state == before
    peer.finish()
    assert peer.wait() == 0, peer.output


def test_another_limit_than_that_of_consul_lock_is_an_error_of_go(
    face: Face, client: Any, agent: Agent
) -> None:
    """Its contender key, which it leaves behind, takes no slot."""
    slots = Slots(agent, "limits/ours")
    slot = semaphore(face, "limits/ours", 3, client)
    assert slot.acquire()
    refused = run_go(agent, "-n=2", "limits/ours", "true")
    assert refused.returncode == 1
    assert "semaphore limit conflict (lock: 3, local: 2)" in refused.stderr
    assert slots.document == document(3, [slot.session_id])
    assert slot.acquire(n=2, timeout=20)
    assert len(slots.holders) == 3
    slot.release()
    slot.release()
    slots.clear()


def test_go_follows_a_limit_that_consul_lock_has_changed(
    face: Face, client: Any, agent: Agent
) -> None:
    """With Go alone, a limit changes only when nobody uses it."""
    slots = Slots(agent, "limits/changed")
    slot = semaphore(face, "limits/changed", 3, client)
    assert slot.acquire()
    assert run_go(agent, "-n=2", "limits/changed", "true").returncode == 1
    slot.resize(2)
    assert slot.limit == 2
    assert slots.document == document(2, [slot.session_id])
    assert run_go(agent, "-n=2", "limits/changed", "true").returncode == 0
    slot.ensure_held()
    slot.release()
    slots.clear()


def test_a_lock_of_go_on_the_name_of_a_held_semaphore_fails(
    face: Face, client: Any, agent: Agent
) -> None:
    """`consul lock` ends with 1, a lock of consul-lock with a conflict, and the slot stays held."""
    slots = Slots(agent, "kinds/ours")
    slot = semaphore(face, "kinds/ours", 2, client)
    assert slot.acquire()
    before = slots.state
    refused = run_go(agent, "kinds/ours", "true")
    assert (refused.returncode, "does not match lock use" in refused.stderr) == (1, True)
    with pytest.raises(Conflict) as caught:
        face.lock("kinds/ours", client).acquire(timeout=5)
    assert caught.value.flags == SEMAPHORE_FLAG
    assert slots.state == before
    slot.ensure_held()
    slot.release()
    assert slots.state is None


@pytest.mark.parametrize("by", ["go", "us"])
@pytest.mark.parametrize("blocking", [True, False])
def test_a_semaphore_of_consul_lock_on_the_name_of_a_lock_is_a_conflict(
    face: Face, client: Any, agent: Agent, go: Go, by: str, blocking: bool
) -> None:
    """Go's lock or that of consul-lock: the flags are named, and no contender is left beside it."""
    name = f"kinds/{by}"
    lock = face.lock(name, client)
    if by == "go":
        go(name).holds()
    else:
        assert lock.acquire()
    before = Slots(agent, name).state
    slot = semaphore(face, name, 2, client)
    with pytest.raises(Conflict) as caught:
        slot.acquire(blocking=blocking)
    assert (caught.value.flags, caught.value.key) == (LOCK_FLAG, f"{name}/.lock")
    assert str(LOCK_FLAG) in str(caught.value)
    assert Slots(agent, name).state == before
    if by == "us":
        lock.ensure_held()
        lock.release()


FOREIGN = [
    b'{"Limit":2,"Holders":["0b4ac7b1-3a4c-4d7e-9bb5-6c9f3d1f1a11"]}',
    b'{"Limit":2,"Holders":[]}',
    b'{"Limit":2,"Holders":{"0b4ac7b1-3a4c-4d7e-9bb5-6c9f3d1f1a11":1}}',
    b'{"Limit":"2","Holders":{}}',
    b"{}",
    b"null",
    b"precious",
]


@pytest.mark.parametrize("value", FOREIGN)
@pytest.mark.parametrize("blocking", [True, False])
def test_a_document_of_another_form_is_a_conflict(
    face: Face, client: Any, agent: Agent, value: bytes, blocking: bool
) -> None:
    """Above all the array of HashiCorp's guide: both sides say so, and nobody writes."""
    slots = Slots(agent, f"forms/{FOREIGN.index(value)}")
    slots.write(value)
    before = slots.state
    with pytest.raises(Conflict) as caught:
        semaphore(face, slots.name, 2, client).acquire(blocking=blocking)
    assert caught.value.key == f"{slots.name}/.lock"
    assert slots.state == before
    assert run_go(agent, "-n=2", slots.name, "true").returncode == 1
    assert slots.document == value
    slots.clear()


@pytest.mark.parametrize("value", [b'{"Limit":2,"Holders":null}', b'{"Limit":2}'])
def test_a_document_that_go_breaks_on_is_mended(
    face: Face, client: Any, agent: Agent, value: bytes
) -> None:
    """Go panics at it; after consul-lock has had a slot, Go can go on."""
    slots = Slots(agent, f"broken/{len(value)}")
    slots.write(value)
    broken = run_go(agent, "-n=2", slots.name, "true")
    assert (broken.returncode, "panic:" in broken.stderr) == (2, True)
    slot = semaphore(face, slots.name, 2, client)
    assert slot.acquire(timeout=20)
    assert slots.document == document(2, [slot.session_id])
    assert run_go(agent, "-n=2", slots.name, "true").returncode == 0
    slot.release()
    slots.clear()
