"""A write whose answer is lost is not sent again unasked."""

from __future__ import annotations

import pytest

from consul_lock import Unavailable
from tests.support.actions import DROP_AFTER, PASS, Action
from tests.support.agent import Agent
from tests.support.apis import Face, sessions_of
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

# Seconds: Consul itself ends a session that is not renewed after 10 to 20.
BEFORE_ITS_TTL = 9.0


def lose_first(kind: str, proxy: Proxy) -> None:
    """The first request of this kind is carried out, and its answer is lost."""

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        first = n == 1 and proxy.log[-1].kind == kind
        return DROP_AFTER if first else PASS

    proxy.reset()
    proxy.rule = rule


def test_a_session_is_created_once(face: Face, proxy: Proxy, agent: Agent) -> None:
    """No library repeats it; the session whose creation was not answered is found and destroyed."""
    client = face.client(proxy.address, retry_for=0)
    lose_first("session/create", proxy)
    with pytest.raises(Unavailable) as caught:
        face.lock("once/create", client).acquire()
    assert caught.value.uncertain
    assert proxy.count("PUT", "session/create") == 1
    eventually(lambda: not sessions_of(client, agent), BEFORE_ITS_TTL)
    client.close()


def test_an_orphan_is_destroyed_although_the_acquire_succeeds(
    face: Face, proxy: Proxy, agent: Agent
) -> None:
    """The error is retried with another session: the first one is not forgotten."""
    client = face.client(proxy.address, retry_for=5)
    lose_first("session/create", proxy)
    lock = face.lock("once/orphan", client)
    assert lock.acquire()
    assert proxy.count("PUT", "session/create") == 2
    kept = {lock.session_id}
    eventually(lambda: sessions_of(client, agent) == kept, BEFORE_ITS_TTL)
    lock.release()
    client.close()


def test_a_release_whose_answer_is_lost_is_no_loss(face: Face, proxy: Proxy, agent: Agent) -> None:
    """It came through: to find the key gone then is what was wanted."""
    client = face.client(proxy.address, retry_for=5)
    lock = face.lock("once/release", client)
    assert lock.acquire()
    lose_first("txn", proxy)
    lock.release()
    assert lock.lost_reason is None
    assert agent.keys("once/release") == []
    client.close()
