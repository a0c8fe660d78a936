"""One client holds hundreds of locks: all are kept, by few requests, threads and connections."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from consul_lock._drivers.loop_transport import LoopTransport
from consul_lock._drivers.pipeline import LANES
from consul_lock._drivers.thread_transport import ThreadTransport
from consul_lock._protocol.flow import Request
from tests.support.agent import Agent
from tests.support.callers import Callers, Tasks, close_all, reached
from tests.support.waiting import eventually

LOCKS = 300

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 120.0


class Batches:
    """What the keepers of this process send."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.renewals = self.verifications = self.connections = 0
        send_all, exchange_all = ThreadTransport.send_all, LoopTransport.exchange_all

        def of_threads(transport: ThreadTransport, requests: Sequence[Request]) -> Any:
            answers = send_all(transport, requests)
            self._count(requests, len(transport._open))
            return answers

        async def of_tasks(transport: LoopTransport, requests: Sequence[Request]) -> Any:
            answers = await exchange_all(transport, requests)
            self._count(requests, len(transport._open))
            return answers

        monkeypatch.setattr(ThreadTransport, "send_all", of_threads)
        monkeypatch.setattr(LoopTransport, "exchange_all", of_tasks)

    def _count(self, requests: Sequence[Request], connections: int) -> None:
        self.renewals += sum("/session/renew/" in request.path for request in requests)
        self.verifications += sum(request.path == "/v1/txn" for request in requests)
        self.connections = max(self.connections, connections)


async def _acquire_all(locks: list[Any]) -> None:
    for lock in locks:
        assert await reached(lock.acquire(timeout=PATIENCE))


async def _release_all(locks: list[Any]) -> None:
    for lock in locks:
        await reached(lock.release())


def test_hundreds_of_locks_of_one_client_are_kept(
    quiet: Agent, callers: Callers, monkeypatch: pytest.MonkeyPatch, fresh_name: str
) -> None:
    """Through three renewals of each.  Each lock has a session of its own, and is verified with
    others in one request."""
    batches, lost = Batches(monkeypatch), list[Any]()
    client, before = callers.client(quiet.address), set(threading.enumerate())
    locks = [callers.lock(f"{fresh_name}/{n}", client, on_lost=lost.append) for n in range(LOCKS)]
    callers.start(_acquire_all(locks)).result(PATIENCE)
    assert len({lock.session_id for lock in locks}) == LOCKS
    batches.renewals = batches.verifications = 0
    eventually(lambda: batches.renewals >= 3 * LOCKS, PATIENCE, message="all are renewed")
    assert lost == []
    assert all(lock.held for lock in locks)
    assert batches.verifications < batches.renewals / 4
    assert batches.connections <= LANES + 1
    assert sorted(callers.helpers()) == ["consul-lock-keeper", "consul-lock-watchdog"]
    own = 0 if isinstance(callers, Tasks) else 2
    eventually(lambda: len(set(threading.enumerate()) - before) <= own)
    callers.start(_release_all(locks)).result(PATIENCE)
    close_all(callers, [client])
    assert lost == []
    eventually(lambda: quiet.sessions() == [])
