"""Go cleans names as paths; consul-lock refuses them and names the clean one: the same key."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock import ConfigError
from tests.interop.go_command import Peer
from tests.interop.semaphores import Slots, document, semaphore
from tests.support.agent import Agent
from tests.support.apis import Face

Go = Callable[..., Peer]

UNCLEAN = [
    pytest.param("/paths/leading", "paths/leading", id="leading"),
    pytest.param("paths/trailing/", "paths/trailing", id="trailing"),
    pytest.param("paths//double", "paths/double", id="double"),
    pytest.param("paths/x/../up", "paths/up", id="dots"),
    pytest.param("paths/./here", "paths/here", id="dot"),
    pytest.param("/paths//x/../all/", "paths/all", id="all"),
]


@pytest.mark.parametrize("unclean, clean", UNCLEAN)
def test_the_suggested_name_is_the_lock_of_go(
    face: Face, client: Any, agent: Agent, go: Go, unclean: str, clean: str
) -> None:
    """`consul lock UNCLEAN` and the lock of the clean name exclude each other."""
    assert suggested(unclean, lambda name: face.lock(name, client)) == clean
    peer = go(unclean)
    peer.holds()
    assert agent.keys("paths/") == [f"{clean}/.lock"]
    lock = face.lock(clean, client)
    assert lock.acquire(blocking=False) is False
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert lock.acquire(timeout=20)
    lock.release()


@pytest.mark.parametrize("unclean, clean", UNCLEAN)
def test_the_suggested_name_is_the_semaphore_of_go(
    face: Face, client: Any, agent: Agent, go: Go, unclean: str, clean: str
) -> None:
    """`consul lock -n 2 UNCLEAN` and the semaphore of the clean name share the slots."""
    assert suggested(unclean, lambda name: semaphore(face, name, 2, client)) == clean
    peer = go(unclean, "-n", "2")
    peer.holds()
    slot = semaphore(face, clean, 2, client)
    assert slot.acquire(timeout=20)
    assert Slots(agent, clean).document == document(2, [peer.session, slot.session_id])
    assert slot.acquire(blocking=False) is False
    slot.release()
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert agent.keys("paths/") == []


def suggested(name: str, make: Callable[[str], Any]) -> str:
    """The name in the refusal."""
    with pytest.raises(ConfigError) as caught:
        make(name)
    found = re.search(r"use '(.*?)'", str(caught.value))
    assert found, str(caught.value)
    return found.group(1)
