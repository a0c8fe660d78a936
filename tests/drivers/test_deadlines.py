"""A request ends at its deadline by the clock, whatever the network and the process do."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import consul_lock
from consul_lock import Unavailable, aio
from tests.drivers.name_servers import HOST, name_servers
from tests.drivers.request_once import Ask, each_asks
from tests.support.certificates import Certificates
from tests.support.http_messages import Message
from tests.support.scripted_server import Script, scripted_server

TIMEOUT = 2.0
"""Seconds that a request may take here: a busy machine has connected and asked by then."""

LATE = 10.0
"""Seconds: far more than a busy machine is late by, far less than the servers here go on."""


@pytest.fixture(params=["plain", "tls"])
def secured(
    request: pytest.FixtureRequest, tmp_path: Path
) -> tuple[ssl.SSLContext | None, dict[str, Any]]:
    """What the server speaks, and the options of a client that speaks it."""
    if request.param == "plain":
        return None, {}
    papers = Certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.server_cert, papers.server_key)
    return context, {"ssl": True, "ca_cert": str(papers.ca)}


@contextmanager
def _ends_in_time() -> Iterator[None]:
    """The block ends no earlier than the timeout, and not much later."""
    begun = time.monotonic()
    yield
    assert TIMEOUT * 0.9 <= time.monotonic() - begun < LATE


@contextmanager
def _interval_timer(seconds: float) -> Iterator[Callable[[], int]]:
    """Signals that come again and again, as from a profiler; how many came."""
    came: list[int] = []
    old = signal.signal(signal.SIGALRM, lambda number, frame: came.append(number))
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield lambda: len(came)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def _never(message: Message) -> Iterator[bytes]:
    return iter(())


def _trickle(head: bytes) -> Script:
    """An answer that goes on for half a minute, a byte at a time."""

    def script(message: Message) -> Iterator[bytes]:
        yield head
        for _ in range(150):
            threading.Event().wait(0.2)
            yield b"x"

    return script


@each_asks
@pytest.mark.parametrize("every", [0.5, 0.02], ids=["half a second", "50 a second"])
def test_signals_do_not_make_it_longer(
    ask: Ask, secured: tuple[ssl.SSLContext | None, dict[str, Any]], every: float
) -> None:
    """A silent server, and an interval timer: each signal cuts off what waits."""
    context, options = secured
    with (
        scripted_server(_never, context) as server,
        _interval_timer(every) as came,
        _ends_in_time(),
        pytest.raises(Unavailable, match=r"no answer within 2\.0 s") as caught,
    ):
        ask(server.address, request_timeout=TIMEOUT, **options)
    assert caught.value.uncertain
    assert came() > 0
    assert len(server.requests) == 1


# What is sent before the bytes that never end.
HEADS = {
    "in a header": b"HTTP/1.1 200 OK\r\nX-Long: ",
    "in a body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
    "until the end": b"HTTP/1.1 200 OK\r\n\r\n",
}


@each_asks
def test_an_answer_that_trickles_does_not_make_it_longer(
    ask: Ask, secured: tuple[ssl.SSLContext | None, dict[str, Any]]
) -> None:
    """A byte each 0.2 s: every read has news in time, and the answer never ends."""
    context, options = secured

    def asks(head: bytes) -> str:
        with (
            scripted_server(_trickle(head), context) as server,
            _ends_in_time(),
            pytest.raises(Unavailable) as caught,
        ):
            ask(server.address, request_timeout=TIMEOUT, **options)
        return str(caught.value)

    with ThreadPoolExecutor(len(HEADS)) as at_once:
        for where, said in zip(HEADS, at_once.map(asks, HEADS.values()), strict=True):
            assert "no answer within 2.0 s" in said, where


@each_asks
def test_a_handshake_that_never_ends_has_the_time_of_a_connection(ask: Ask, tmp_path: Path) -> None:
    """Something listens and is silent: connecting and agreeing on keys share one bound."""
    options = {"ssl": True, "ca_cert": str(Certificates(tmp_path).ca), "request_timeout": 60}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        with (
            _ends_in_time(),
            pytest.raises(Unavailable, match=r"TLS|cannot reach") as caught,
        ):
            ask(place, connect_timeout=TIMEOUT, **options)
    assert "no answer in time" in str(caught.value)
    assert not caught.value.uncertain


@each_asks
def test_a_resolver_that_hangs_has_the_time_of_a_connection(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that it was the name."""
    with (
        name_servers(monkeypatch),
        _ends_in_time(),
        pytest.raises(Unavailable, match=r"cannot resolve 'consul\.test': no answer") as caught,
    ):
        ask(f"{HOST}:8500", connect_timeout=TIMEOUT, request_timeout=60)
    assert not caught.value.uncertain


@pytest.mark.parametrize("api", [consul_lock, aio], ids=["threads", "asyncio"])
def test_a_request_that_is_sent_again_has_no_new_time(api: Any) -> None:
    """The server hangs up on a kept connection, late, and is silent on the other kept one."""
    asked, both = list[Message](), threading.Barrier(2)

    def script(message: Message) -> Iterator[bytes] | None:
        asked.append(message)
        if len(asked) <= 2:
            both.wait(120)
            answer = b"HTTP/1.1 404 Not Found\r\nX-Consul-Index: 1\r\nContent-Length: 0\r\n\r\n"
            return iter([answer])
        if len(asked) == 3:
            threading.Event().wait(0.5 * _LONG)
            return None
        return _never(message)

    with scripted_server(script) as server:
        options = {"retry_for": 0, "request_timeout": _LONG, "connect_timeout": _LONG}
        if api is aio:
            took = asyncio.run(_again_in_tasks(server.address, **options))
        else:
            took = _again_in_threads(server.address, **options)
    assert (len(asked), server.accepted) == (4, 2)
    # With the whole time for the second sending it would be 1.5 times as long.
    assert took < 1.4 * _LONG


_LONG = 10.0


def _again_in_threads(address: str, **options: Any) -> float:
    """Seconds that the second question of a client takes, which is not answered."""
    with consul_lock.Client(address, **options) as client:
        lock = consul_lock.Lock("drivers/again", client=client)
        with ThreadPoolExecutor(2) as threads:
            asking = [threads.submit(lock.locked) for _ in range(2)]
        assert [each.result() for each in asking] == [False, False]
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"no answer within 10\.0 s"):
            lock.locked()
        return time.monotonic() - begun


async def _again_in_tasks(address: str, **options: Any) -> float:
    async with aio.Client(address, **options) as client:
        lock = aio.Lock("drivers/again", client=client)
        assert await asyncio.gather(lock.locked(), lock.locked()) == [False, False]
        begun = time.monotonic()
        with pytest.raises(Unavailable, match=r"no answer within 10\.0 s"):
            await lock.locked()
        return time.monotonic() - begun
