"""`consul lock` and the locks of consul-lock take turns on one name."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any
from urllib.parse import quote

import pytest

from tests.interop.go_command import PROMPTLY, Peer
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.waiting import eventually

LOCK_FLAG = 3304740253564472344

Go = Callable[..., Peer]
Acquiring = Callable[[Any], "Future[float]"]


def entry(agent: Agent, key: str) -> dict[str, Any] | None:
    """A key, whose name may have any characters."""
    return agent.entry(quote(key))


def in_line(agent: Agent, name: str, count: int) -> None:
    """Wait until so many clients of consul-lock are in the queue."""
    prefix = quote(f"{name}/.queue/")
    eventually(lambda: len(agent.keys(prefix)) == count, message=f"{count} queued")


NAMES = ["deploy/web", "a job with spaces", "größe/日本/%41+b?c#d"]


@pytest.mark.parametrize("name", NAMES)
def test_go_starts_at_once_after_the_release(
    face: Face, client: Any, agent: Agent, go: Go, name: str
) -> None:
    """It waits during the hold, has the lock at once after the release, and leaves no key."""
    lock = face.lock(name, client)
    assert lock.acquire()
    peer = go(name)
    peer.waits()
    assert lock.held
    lock.release()
    released = monotonic()
    assert peer.holds() - released < PROMPTLY
    assert lock.acquire(blocking=False) is False
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert entry(agent, f"{name}/.lock") is None


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_is_acquired_at_once_after_the_end_of_go(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring, name: str
) -> None:
    """Its clean-up, which deletes the key, neither fails nor takes the lock from the new holder."""
    peer = go(name)
    peer.holds()
    lock = face.lock(name, client)
    had = acquiring(lock)
    in_line(agent, name, 1)
    assert not had.done()
    ended = peer.finish()
    assert had.result(120) - ended < PROMPTLY
    assert peer.wait() == 0, peer.output
    lock.ensure_held()
    found = entry(agent, f"{name}/.lock")
    assert found is not None
    assert (found["Session"], found["ModifyIndex"]) == (lock.session_id, lock.token)
    lock.release()
    assert agent.keys(quote(name)) == []


def test_the_key_is_the_one_of_go_and_has_its_flags(face: Face, client: Any, agent: Agent) -> None:
    """Byte for byte what Go expects, and a release that leaves nothing behind."""
    with_name = face.lock("keys/one", client, meta={"why": "interop"})
    assert with_name.acquire()
    found = agent.entry("keys/one/.lock")
    assert found is not None
    assert (found["Flags"], found["Session"]) == (LOCK_FLAG, with_name.session_id)
    assert json.loads(base64.b64decode(found["Value"]))["meta"] == {"why": "interop"}
    assert agent.keys("keys/one") == ["keys/one/.lock"]
    with_name.release()
    assert agent.keys("keys/one") == []


def test_the_queue_of_consul_lock_goes_first_and_go_gets_the_lock_after_it(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """Go is in no queue: a hand-over passes it by, also when it came first."""
    other = face.client(agent.address)
    first, second = face.lock("mixed", client), face.lock("mixed", other)
    assert first.acquire()
    peer = go("mixed")
    peer.waits()
    had = acquiring(second)
    in_line(agent, "mixed", 1)
    first.release()
    had.result(120)
    peer.waits()
    found = agent.entry("mixed/.lock")
    assert found is not None
    assert (found["Flags"], found["Session"]) == (LOCK_FLAG, second.session_id)
    second.release()
    released = monotonic()
    assert peer.holds() - released < PROMPTLY
    other.close()


def test_go_is_a_holder_without_details(face: Face, client: Any, agent: Agent, go: Go) -> None:
    """`holder` names its session, and does not trip over its value."""
    peer = go("foreign")
    peer.holds()
    lock = face.lock("foreign", client)
    holder = lock.holder()
    found = agent.entry("foreign/.lock")
    assert found is not None
    assert (holder.session, holder.foreign) == (found["Session"], True)
    assert lock.locked() is True


def test_many_turns_between_go_and_consul_lock(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """Go's clean-up by check-and-set meets an acquire at any moment, and harms nobody."""
    for _ in range(5):
        lock = face.lock("rounds", client)
        peer = go("rounds")
        peer.holds()
        had = acquiring(lock)
        peer.finish()
        had.result(120)
        after = go("rounds")
        assert peer.wait() == 0, peer.output
        after.waits()
        lock.release()
        after.holds()
        after.finish()
        assert after.wait() == 0, after.output
    assert agent.keys("rounds") == []


def test_a_lock_on_a_key_meets_go_on_that_key(face: Face, client: Any, go: Go) -> None:
    """`Lock.on_key("x/.lock")` is what `consul lock x` locks; "x" alone is another key."""
    lock = face.lock_on_key("keyed/.lock", client)
    beside = face.lock_on_key("keyed", client)
    assert lock.acquire()
    assert beside.acquire()
    peer = go("keyed")
    peer.waits()
    lock.release()
    peer.holds()
    assert lock.acquire(blocking=False) is False
    beside.release()
