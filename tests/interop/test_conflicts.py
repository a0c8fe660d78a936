"""One name, two uses: each side refuses, and nobody's keys are touched."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock import Conflict
from tests.interop.go_command import Peer
from tests.support.agent import Agent
from tests.support.apis import Face

LOCK_FLAG = 3304740253564472344
SEMAPHORE_FLAG = 16210313421097356768

Go = Callable[..., Peer]


def state(agent: Agent, prefix: str) -> Any:
    """All keys below a prefix with everything that Consul says of them."""
    answer = agent.request("GET", f"/v1/kv/{prefix}?recurse")
    return None if answer.status == 404 else answer.json()


@pytest.mark.parametrize("blocking", [True, False])
def test_a_lock_on_the_name_of_a_semaphore_of_go_is_a_conflict(
    face: Face, client: Any, agent: Agent, go: Go, blocking: bool
) -> None:
    """The semaphore and its limit are named, and its document and slots stay as they were."""
    peer = go("pool", "-n", "2")
    peer.holds()
    before = state(agent, "pool")
    with pytest.raises(Conflict) as caught:
        face.lock("pool", client).acquire(blocking=blocking)
    assert caught.value.flags == SEMAPHORE_FLAG
    assert caught.value.key == "pool/.lock"
    assert "semaphore with limit 2" in str(caught.value)
    assert state(agent, "pool") == before
    peer.finish()
    assert peer.wait() == 0, peer.output


def test_a_semaphore_of_go_on_the_name_of_a_held_lock_fails(
    face: Face, client: Any, agent: Agent, go: Go
) -> None:
    """`consul lock -n 2` ends with 1, and the lock stays held."""
    lock = face.lock("ours", client)
    assert lock.acquire()
    before = agent.entry("ours/.lock")
    peer = go("ours", "-n", "2")
    assert peer.wait() == 1
    assert "does not match semaphore use" in peer.output
    assert not peer.started
    assert agent.entry("ours/.lock") == before
    lock.ensure_held()
    lock.release()


@pytest.mark.parametrize("value", [b"", b"precious"])
def test_a_plain_value_is_a_conflict_for_both(
    face: Face, client: Any, agent: Agent, go: Go, value: bytes
) -> None:
    """Neither side overwrites what somebody stored under the key of a lock."""
    agent.request("PUT", "/v1/kv/plain/.lock", value)
    before = state(agent, "plain")
    with pytest.raises(Conflict, match=r"flags 0.*left alone.*another name, or delete it") as found:
        face.lock("plain", client).acquire(timeout=5)
    assert found.value.flags == 0
    peer = go("plain")
    assert peer.wait() == 1
    assert "does not match lock use" in peer.output
    assert state(agent, "plain") == before
    agent.request("DELETE", "/v1/kv/plain/.lock")


def test_a_free_key_with_the_flags_of_a_lock_is_taken_by_both(
    face: Face, client: Any, agent: Agent, go: Go
) -> None:
    """A release of other Go programs leaves the key with its value: that is no conflict."""
    key = f"/v1/kv/kept/.lock?flags={LOCK_FLAG}"
    agent.request("PUT", key, b"left by somebody")
    lock = face.lock("kept", client)
    assert lock.acquire(timeout=20)
    lock.release()
    agent.request("PUT", key, b"left by somebody")
    peer = go("kept")
    peer.holds()
    peer.finish()
    assert peer.wait() == 0, peer.output


def test_a_value_of_go_with_any_bytes_is_read(face: Face, client: Any, agent: Agent) -> None:
    """A Go program may store whatever it likes in the lock it holds."""
    name = f"any-{face.name}"
    made = agent.request("PUT", "/v1/session/create", {"TTL": "10s", "NodeChecks": []}).json()
    value = b"\xff\x00{not json"
    where = f"/v1/kv/{name}/.lock?flags={LOCK_FLAG}&acquire={made['ID']}"
    assert agent.request("PUT", where, value).json() is True
    lock = face.lock(name, client)
    assert lock.acquire(timeout=0.1) is False
    assert lock.holder().session == made["ID"]
    entry = agent.entry(f"{name}/.lock")
    assert entry is not None
    assert base64.b64decode(entry["Value"]) == value
    agent.request("PUT", f"/v1/session/destroy/{made['ID']}")
