"""Two releases of one hold at a time: one does it, the other one raises, and does no harm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from consul_lock import NotHeld
from tests.support.actions import HOLD, PASS
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.proxy import Proxy
from tests.support.waiting import eventually


def test_a_second_release_does_not_meddle_with_the_first(face: Face, agent: Agent) -> None:
    """It raises `NotHeld` while the request of the first is under way, and sends nothing."""
    with Proxy(agent.address) as proxy, ThreadPoolExecutor(1) as threads:
        client = face.client(proxy.address)
        lock = face.lock("two-releases", client)
        assert lock.acquire()
        proxy.reset()
        proxy.rule = lambda method, path, body, n: HOLD if path.startswith("/v1/txn") else PASS
        first = threads.submit(lock.release)
        eventually(lambda: proxy.count("PUT", "txn") == 1)
        with pytest.raises(NotHeld):
            lock.release()
        proxy.rule = None
        proxy.release()
        first.result(120)
        assert proxy.count("PUT", "txn") == 1
        assert lock.lost_reason is None
        assert agent.keys("two-releases") == []
        client.close()
