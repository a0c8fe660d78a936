"""Consul refuses connections when one address has too many: that hits waiters, not holders."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from consul_lock import Client, Lock, Unavailable
from tests.faults.deadlines import pass_by
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.waiting import eventually

LIMIT = 12
"""Connections of one address that the agent of these tests serves; Consul's default is 200."""

WAITERS = 20

LOCK_DELAY = 10.0


@pytest.fixture
def narrow(consul_binary: Path) -> Iterator[Agent]:
    """An agent that serves few connections; its unix socket is no address."""
    limits = {"limits": {"http_max_conns_per_client": LIMIT}}
    with Agent(consul_binary, config=limits, unix_socket=True) as started:
        yield started


@pytest.mark.slow
def test_waiters_beyond_the_limit_stop_no_holder(face: Face, narrow: Agent) -> None:
    """More clients wait than there are connections.  The holder of another lock keeps it for
    longer than its lock-delay, nobody's wait ends in an error, and all get theirs in the end."""
    holder, front = face.client(narrow.address), face.client(narrow.address)
    held, wanted = face.lock("held", holder, lock_delay=LOCK_DELAY), face.lock("wanted", front)
    assert held.acquire()
    assert wanted.acquire()
    clients = [face.client(narrow.address, retry_for=60) for _ in range(WAITERS)]
    locks = [face.lock("wanted", client) for client in clients]
    with Client(narrow.unix_address) as outside, ThreadPoolExecutor(WAITERS) as pool:
        seen = Lock("wanted", client=outside)
        waiting = {pool.submit(lock.acquire): lock for lock in locks}
        eventually(lambda: len(seen.waiters()) == WAITERS)
        pass_by(1.3 * LOCK_DELAY)
        held.ensure_held()
        assert not any(future.done() for future in waiting)
        wanted.release()
        while waiting:
            done, _ = wait(waiting, 60, FIRST_COMPLETED)
            assert done
            for future in done:
                assert future.result()
                waiting.pop(future).release()
    held.release()


def test_the_limit_is_named_as_the_cause(face: Face, narrow: Agent) -> None:
    """A client that is refused learns which limit it is, and where it is set."""
    clients = [face.client(narrow.address, retry_for=0) for _ in range(LIMIT + 1)]
    *locks, last = (face.lock(f"held/{number}", client) for number, client in enumerate(clients))
    for lock in locks:
        assert lock.acquire()
    with pytest.raises(Unavailable, match="http_max_conns_per_client") as caught:
        last.acquire()
    assert "200" in str(caught.value)
    for lock in locks:
        lock.release()
