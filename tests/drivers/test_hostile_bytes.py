"""Bytes that end, stop, come twice or never end, at every place of an answer: for both transports.

The answer is asked for by a transport alone, so its limits of time can be short.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from consul_lock import ConsulLockError, Unavailable
from consul_lock._drivers.http_reader import BODY_LIMIT
from consul_lock._drivers.loop_transport import LoopTransport
from consul_lock._drivers.thread_transport import ThreadTransport
from consul_lock._protocol.flow import Request
from consul_lock.config import Config
from tests.drivers.transport_requests import READ, WRITE, config_of
from tests.support.effort import scaled
from tests.support.http_messages import Closed, Message
from tests.support.scripted_server import Reset, Script, scripted_server
from tests.support.waiting import eventually_async

# Seconds that an answer may take: as it never comes, the length of such a test.
_SHORT = 0.4

_ONE = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\n"
WHOLE = _ONE + b'Content-Length: 12\r\n\r\n[{"Key": 1}]'
CHUNKED = (
    _ONE + b'Transfer-Encoding: chunked\r\n\r\n5;a=b\r\n[{"Ke\r\n7\r\ny": 1}]\r\n0\r\nT: 1\r\n\r\n'
)
FORMS = {"length": WHOLE, "chunked": CHUNKED}

Outcome = bytes | ConsulLockError
Exchanges = Callable[[Config, list[Request]], list[Outcome]]
"""All these requests at once, each with a transport of its own."""


def _by_threads(config: Config, requests: list[Request]) -> list[Outcome]:
    def one(request: Request) -> Outcome:
        transport = ThreadTransport(config, time.monotonic)
        try:
            return transport.send(request)  # type: ignore[no-any-return] # as its parser says
        except ConsulLockError as error:
            return error
        finally:
            transport.close()

    with ThreadPoolExecutor(48) as pool:
        return list(pool.map(one, requests))


def _by_tasks(config: Config, requests: list[Request]) -> list[Outcome]:
    async def one(request: Request) -> Outcome:
        transport = LoopTransport(config)
        try:
            return await transport.exchange(request)  # type: ignore[no-any-return] # the same
        except ConsulLockError as error:
            return error
        finally:
            await transport.close()

    async def all_of_them() -> list[Outcome]:
        return list(await asyncio.gather(*map(one, requests)))

    return asyncio.run(all_of_them())


each_transport = pytest.mark.parametrize(
    "exchanges", [_by_threads, _by_tasks], ids=["threads", "asyncio"]
)


def _silent(_: bytes) -> Iterator[bytes]:
    return iter(())


def _ended(_: bytes) -> Iterator[bytes]:
    raise Closed
    yield b""


def _reset(_: bytes) -> Iterator[bytes]:
    raise Reset
    yield b""


def _trickling(rest: bytes) -> Iterator[bytes]:
    for byte in rest:
        threading.Event().wait(_SHORT * 0.75)
        yield bytes([byte])


STOPS = {"silent": _silent, "ended": _ended, "reset": _reset, "trickling": _trickling}


def _at_its_place(whole: bytes, stop: Callable[[bytes], Iterator[bytes]]) -> Script:
    """The answer to a request for /v1/kv/7 stops after 7 bytes."""

    def script(message: Message) -> Iterator[bytes]:
        at = int(message.path.rpartition("/")[2])
        yield whole[:at]
        yield from stop(whole[at : at + 3])

    return script


@each_transport
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("form", FORMS)
def test_an_answer_that_stops_at_any_byte_is_no_answer(
    exchanges: Exchanges, form: str, stop: str
) -> None:
    """Never a value, and no hang: an error that leaves the outcome unknown."""
    whole = FORMS[form]
    slow = stop in ("silent", "trickling")
    kinds = {"no-answer"} if slow else {"broken", "hung-up"}
    # The last byte by itself comes in time.
    missing = list(range(len(whole) - (stop == "trickling")))
    with scripted_server(_at_its_place(whole, STOPS[stop])) as server:
        config = config_of(server.address, request_timeout=_SHORT if slow else 30.0)
        while missing:
            found = exchanges(config, [WRITE._replace(path=f"/v1/kv/{at}") for at in missing])
            outcomes = dict(zip(missing, found, strict=True))
            for outcome in outcomes.values():
                assert isinstance(outcome, Unavailable), outcome
                assert outcome.kind in kinds if outcome.uncertain else slow, outcome
            # On a busy machine it takes longer to connect: those were not sent, and are now.
            missing = [at for at, outcome in outcomes.items() if not outcome.uncertain]


ENDLESS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1000),
    "a header": (b"HTTP/1.1 200 OK\r\nA: ", b"x" * 8000),
    "a status": (b"HTTP/1.1 200 ", b"x" * 8000),
    "interim answers": (b"", b"HTTP/1.1 102 Wait\r\n\r\n" * 300),
    "trailers": (_ONE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 1000),
    "an extension of a chunk": (_ONE + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 8000),
    "the size of a chunk": (_ONE + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 8000),
    "spaces": (b"HTTP/1.1 200 OK\r\nA:", b" \r\n" * 3000),
    "noughts": (b"", b"\0" * 8000),
}


@each_transport
@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_cut_off(exchanges: Exchanges, what: str) -> None:
    """After 64 KiB, and not at the end of its time."""
    beginning, more = ENDLESS[what]
    sent = 0

    def script(_: Message) -> Iterator[bytes]:
        nonlocal sent
        yield beginning
        while sent < 2**30:
            sent += len(more)
            yield more

    with scripted_server(script) as server:
        found = exchanges(config_of(server.address, request_timeout=60), [READ])[0]
    assert isinstance(found, Unavailable)
    assert (found.kind, found.uncertain) == ("broken", True)
    assert sent < 32 * 2**20  # what fits into the buffers of a connection is far less


# What a body of 1 GB looks like.
LARGE = {
    "length": (_ONE + b"Content-Length: 1073741824\r\n\r\n", b""),
    "a length beyond all": (_ONE + b"Content-Length: " + b"9" * 18 + b"\r\n\r\n", b""),
    "chunks": (_ONE + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "until the end": (_ONE + b"\r\n", b"x" * 65536),
}


def _large(beginning: bytes, more: bytes) -> Script:
    def script(_: Message) -> Iterator[bytes]:
        yield beginning
        for _ in range(2**30 // 65536):
            yield more or b"x" * 65536

    return script


@pytest.mark.parametrize("api", ["threads", "asyncio"])
def test_a_body_of_a_gigabyte_takes_little_memory(api: str) -> None:
    """Where its length is announced it is not read at all, else no more than is bearable."""
    with ExitStack() as stack:
        servers = [stack.enter_context(scripted_server(_large(*form))) for form in LARGE.values()]
        done = subprocess.run(
            [
                sys.executable, "-m", "tests.drivers.program_large_body", api,
                *(server.address for server in servers),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=180,
        )  # fmt: skip
    for (_, more), line in zip(LARGE.values(), done.stdout.splitlines(), strict=True):
        grown, said = line.split(" ", 1)
        assert said.startswith("Unavailable"), said
        assert "its body has more than 64 MiB" in said, said
        # The parts and the whole of them, at the most.
        assert int(grown) < (3 * BODY_LIMIT if more else 16 * 2**20), line


def _answers(count: int, *before: bytes) -> bytes:
    body = b"answer %d" % count
    return b"".join(before) + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("api", ["threads", "asyncio"])
@pytest.mark.parametrize("extra", [b"", b"x", b"HTTP/1.1 408 Late\r\n\r\n", b"again"])
def test_what_comes_after_an_answer_is_not_that_to_the_next_request(api: str, extra: bytes) -> None:
    """An answer that comes twice would else be the answer to another request, and so on."""
    count = 0

    def script(_: Message) -> Iterator[bytes]:
        nonlocal count
        count += 1
        whole = _answers(count)
        yield whole + (whole if extra == b"again" else extra)

    with scripted_server(script) as server:
        config = config_of(server.address, request_timeout=30)
        rounds = scaled(5)
        found = _in_turn_threads(config, rounds) if api == "threads" else _in_turn(config, rounds)
        assert found == [b"answer %d" % number for number in range(1, rounds + 1)]
        assert server.accepted == (rounds if extra else 1)


def _in_turn_threads(config: Config, rounds: int) -> list[bytes]:
    transport = ThreadTransport(config, time.monotonic)
    try:
        return [transport.send(READ) for _ in range(rounds)]
    finally:
        transport.close()


def _in_turn(config: Config, rounds: int) -> list[bytes]:
    async def ask() -> list[bytes]:
        transport = LoopTransport(config)
        try:
            return [await transport.exchange(READ) for _ in range(rounds)]
        finally:
            await transport.close()

    return asyncio.run(ask())


def test_what_an_idle_connection_of_asyncio_is_sent_is_not_kept() -> None:
    """The loop takes what comes, also when nobody reads: a megabyte, and no more."""
    sent = 0

    def script(_: Message) -> Iterator[bytes]:
        nonlocal sent
        yield _answers(1)
        for _ in range(2**30 // 65536):
            yield b"x" * 65536
            sent += 65536

    async def ask() -> None:
        transport = LoopTransport(config_of(server.address, request_timeout=30))
        assert await transport.exchange(READ) == b"answer 1"
        connection = next(iter(transport._open), None)
        if connection is not None:  # it is closed at once if more has come with the answer
            await eventually_async(lambda: connection._paused)
            assert connection.stale()
        await transport.close()

    with scripted_server(script) as server:
        asyncio.run(ask())
    assert sent < 2**27
