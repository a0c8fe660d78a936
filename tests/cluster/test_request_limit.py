"""Real servers that limit the rate of requests, reached through a client agent.

The simulation plays more of them for longer, against a model of such servers.  With 20 holders
and four hammering clients, each a process of its own, under 5 reads and 3 writes a second, it was
run by hand for two minutes, on 1.21.4.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consul_lock import Client, ConsulLockError, Lock
from tests.support.agent import Agent, version_of
from tests.support.waiting import eventually

HOLDERS, HAMMERING = 12, 3

LIMITS = {"mode": "enforcing", "read_rate": 3.0, "write_rate": 2.0}

# Seconds in which sessions that cannot be renewed end: twice their TTL after the buckets are empty.
SECONDS = 40.0

_SINCE = (1, 15)


@pytest.fixture
def limited(consul_binary: Path) -> Iterator[Agent]:
    """A client agent of a server that limits what client agents forward."""
    version = version_of(consul_binary)
    if tuple(map(int, version.split(".")[:2])) < _SINCE:
        pytest.skip(f"Consul {version} knows no limits of requests: 1.15 is the first")
    config = {"server": True, "bootstrap_expect": 1, "limits": {"request_limits": LIMITS}}
    with Agent(consul_binary, name="server-1", dev=False, config=config) as server:
        joined = {"retry_join": [f"127.0.0.1:{server.ports.serf}"], "retry_interval": "1s"}
        with Agent(consul_binary, name="client-1", dev=False, config=joined) as client:
            yield client


def test_no_holder_is_lost_and_the_hammered_lock_moves(limited: Agent) -> None:
    """12 holders, and three threads that hammer one lock, each with a client of its own."""
    clients = [Client(limited.address, retry_for=120.0) for _ in range(HOLDERS + HAMMERING)]
    locks = [Lock(f"held/{n}", client=client) for n, client in enumerate(clients[:HOLDERS])]
    for lock in locks:
        assert lock.acquire()
    ended, grants = threading.Event(), list[int]()

    def hammer(client: Client) -> None:
        lock = Lock("hammered", client=client)
        while not ended.is_set():
            try:
                if lock.acquire(timeout=10.0):
                    grants.append(1)
                    lock.release()
            except ConsulLockError:
                continue

    threads = [threading.Thread(target=hammer, args=(client,)) for client in clients[HOLDERS:]]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + SECONDS
        eventually(lambda: time.monotonic() >= end, 4 * SECONDS)
        eventually(lambda: grants, 120.0)
        for lock in locks:
            lock.ensure_held()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
