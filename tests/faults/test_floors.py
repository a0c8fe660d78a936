"""However odd the answers are, no loop of requests runs away: counted at the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import consul_lock
from consul_lock import Client, Unavailable, aio
from consul_lock.testing import ServedWorld, serve
from tests.faults.deadlines import pass_by
from tests.support.apis import Asyncio, Face, OnLoop
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.scripted_server import ScriptedServer, scripted_server, through
from tests.support.waiting import eventually

SECONDS = 4.0
"""Of a wait that is counted."""

pytestmark = pytest.mark.usefixtures("busy_servers_answer")


class Strips:
    """A proxy that strips X-Consul-Index, while ``odd``."""

    def __init__(self) -> None:
        self.odd = True

    def write(self, status: int, body: bytes, index: str) -> Iterator[bytes]:
        header = "" if self.odd else f"X-Consul-Index: {index}\r\n"
        head = f"HTTP/1.1 {status} x\r\n{header}Content-Length: {len(body)}\r\n\r\n"
        yield head.encode() + body


@contextmanager
def _behind_a_proxy() -> Iterator[tuple[ServedWorld, ScriptedServer, Strips]]:
    strips = Strips()
    with serve() as served, scripted_server(through(served.address, strips.write)) as proxy:
        yield served, proxy, strips


MAKE: dict[str, Callable[[Any, Any], Any]] = {
    "lock": lambda module, client: module.Lock("floor", client=client),
    "semaphore": lambda module, client: module.Semaphore("floor", 1, client=client),
    "multilock": lambda module, client: module.MultiLock(["floor", "other"], client=client),
    "read-write": lambda module, client: module.ReadWriteLock("floor", client=client).write(),
}


def _made(face: Face, kind: str, client: Any) -> Any:
    if isinstance(face, Asyncio):
        return OnLoop(MAKE[kind](aio, client.inner), face.loop)
    return MAKE[kind](consul_lock, client)


@pytest.mark.parametrize("kind", MAKE)
def test_a_waiter_behind_a_proxy_that_strips_headers(face: Face, kind: str) -> None:
    """Its long polls do not wait: it asks a few times a second all the same, and not hundreds."""
    with _behind_a_proxy() as (served, proxy, strips), Client(served.address) as other:
        held = MAKE[kind](consul_lock, other)
        assert held.acquire()
        client = face.client(proxy.address)
        lock = _made(face, kind, client)
        before = len(proxy.requests)
        assert not lock.acquire(timeout=SECONDS)
        # A handful to join the queue, to leave it and for the keeper, and a few a second.
        assert len(proxy.requests) - before <= 20 + 4 * SECONDS
        strips.odd = False
        held.release()
        assert lock.acquire(timeout=30)
        lock.release()
        client.close()


def test_a_watch_behind_a_proxy_that_strips_headers(face: Face) -> None:
    """That of a lock that is held."""
    with _behind_a_proxy() as (_, proxy, _):
        client = face.client(proxy.address)
        lock = face.lock("floor", client, watch=True)
        assert lock.acquire()
        before = len(proxy.requests)
        pass_by(SECONDS)
        assert lock.held
        assert len(proxy.requests) - before <= 20 + 4 * SECONDS
        lock.release()
        client.close()


@pytest.mark.parametrize("retry_after", [None, "1", "3"])
def test_a_limit_of_requests_is_not_run_against(face: Face, retry_after: str | None) -> None:
    """Each answer is 429: pauses grow, and are as long as it asks for."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    with scripted_server(Answer(429, headers, b"rate limit")) as server:
        client = face.client(server.address, retry_for=SECONDS)
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="429"):
            face.lock("floor", client).acquire()
        took = time.monotonic() - begun
        asked = len(server.requests)
        # One that fails, its clean-up and the keeper's, and what the pauses leave room for.
        assert asked <= 10 + took / float(retry_after or 0.5)
        client.close()


@pytest.mark.parametrize("retry_after", [None, "2"])
def test_renewals_do_not_run_against_a_limit(face: Face, retry_after: str | None) -> None:
    """They are refused with 429 while a lock is held: they slow down, and the lock is kept."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    with serve() as served, Proxy(served.address) as proxy:
        client = face.client(proxy.address)
        lock = face.lock("floor", client, lock_delay=20)
        assert lock.acquire()
        proxy.reset()
        proxy.rule = lambda *_: Answer(429, headers, b"rate limit")
        # The first is due within a third of the TTL.
        eventually(lambda: proxy.log)
        begun = time.monotonic()
        pass_by(SECONDS)
        # Each try is two requests, a renewal and a verification.
        tries = len(proxy.log) / 2
        assert tries <= 3 + (time.monotonic() - begun) / float(retry_after or 1)
        proxy.rule = None
        lock.ensure_held()
        lock.release()
        client.close()
