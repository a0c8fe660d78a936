"""One connection of threads: requests and answers, and what it is good for after each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consul_lock._drivers.clock import clock
from consul_lock._drivers.connection import Connection
from consul_lock._drivers.http_reader import ClosedBeforeAnswer, CutShort
from consul_lock._drivers.resolver import Resolver
from consul_lock.config import Config
from consul_lock.errors import Unavailable
from tests.support.http_messages import Answer, Message
from tests.support.ports import free_port
from tests.support.scripted_server import Script, ScriptedServer, always, scripted_server
from tests.support.waiting import eventually

ASK = b"GET /v1/kv/a HTTP/1.1\r\nContent-Length: 0\r\n\r\n"

LONG = 60.0
"""Seconds: a deadline that does not matter."""


def _connect(address: str, seconds: float = LONG) -> Connection:
    host, port = address.split(":")
    config = Config(host=host, port=int(port))
    [place] = Resolver(config, clock).fixed
    return Connection(config, None, place, clock, clock() + seconds)


@contextmanager
def _connected(script: Script | Answer) -> Iterator[tuple[Connection, ScriptedServer]]:
    with scripted_server(script) as server:
        connection = _connect(server.address)
        try:
            yield connection, server
        finally:
            connection.close()


def _echo(message: Message) -> Answer:
    return Answer(200, {}, message.body)


def test_answers_come_in_the_order_of_their_requests() -> None:
    """Of several that were sent at once, too."""
    with _connected(_echo) as (connection, server):
        asks = [b"PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\n" + bytes([n]) for n in b"abc"]
        connection.send(b"".join(asks), clock() + LONG)
        answers = [connection.receive(clock() + LONG).body for _ in asks]
        assert answers == [b"a", b"b", b"c"]
        assert not connection.stale()
        assert not connection.closed
        assert server.accepted == 1


def test_a_request_larger_than_what_the_kernel_takes_is_sent_whole() -> None:
    """In as many pieces as it needs."""
    body = bytes(range(256)) * 40_000
    with _connected(_echo) as (connection, _):
        head = f"PUT / HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        assert connection.exchange(head + body, clock() + LONG).body == body


def test_it_is_closed_after_an_answer_that_says_so() -> None:
    """And can be closed again."""
    with _connected(Answer(200, {"Connection": "close"}, b"last")) as (connection, _):
        assert connection.exchange(ASK, clock() + LONG).body == b"last"
        assert connection.closed
        connection.close()


@pytest.mark.parametrize(
    "answer, error",
    [(b"", ClosedBeforeAnswer), (b"HTTP/1.1 200", CutShort), (b"SSH-2.0\r\n\r\n", CutShort)],
    ids=["nothing", "part", "another protocol"],
)
def test_it_is_closed_after_an_error(answer: bytes, error: type[Exception]) -> None:
    """A late answer would be taken for the next one."""
    with _connected(always(answer, then_close=True)) as (connection, _):
        with pytest.raises((error, Unavailable)):
            connection.exchange(ASK, clock() + LONG)
        assert connection.closed


def test_it_is_closed_when_the_deadline_has_passed() -> None:
    """The answer may still come."""
    with _connected(lambda message: iter(())) as (connection, _):
        with pytest.raises(TimeoutError):
            connection.exchange(ASK, clock() + 0.05)
        assert connection.closed


def test_a_connection_that_the_server_closed_while_idle_is_stale() -> None:
    """It is seen without a request."""
    with _connected(Answer(200, {}, b"")) as (connection, server):
        connection.exchange(ASK, clock() + LONG)
        assert not connection.stale()
        server.close()
        eventually(connection.stale)


def test_the_answer_to_a_request_that_was_cut_off_can_still_be_had() -> None:
    """The server learns that nothing more comes, and answers what it has read."""
    with _connected(_echo) as (connection, _):
        connection.send(
            b"PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\nmine", clock() + LONG
        )  # and here a signal strikes
        assert connection.finish(clock() + LONG).body == b"mine"
        assert connection.closed


def test_half_a_request_that_was_cut_off_has_no_answer() -> None:
    """It was not carried out, and the server hangs up at once."""
    with _connected(_echo) as (connection, server):
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\nmi", clock() + LONG)
        with pytest.raises(ClosedBeforeAnswer):
            connection.finish(clock() + LONG)
        assert server.requests == []


def test_another_thread_can_end_an_exchange() -> None:
    """At once, whatever its deadline."""
    with _connected(lambda message: iter(())) as (connection, server):
        ended = list[BaseException]()
        thread = threading.Thread(target=_noting, args=(connection, ended))
        thread.start()
        eventually(lambda: server.requests)
        connection.abort()
        thread.join(30)
        assert [type(error) for error in ended] == [ClosedBeforeAnswer]
    connection.abort()  # it is closed already


def _noting(connection: Connection, ended: list[BaseException]) -> None:
    try:
        connection.exchange(ASK, clock() + LONG)
    except ClosedBeforeAnswer as error:
        ended.append(error)


@pytest.mark.parametrize(
    "seconds, kind", [(LONG, "refused"), (0.0, "unreachable")], ids=["refused", "late"]
)
def test_where_nobody_listens_or_the_time_is_over_nothing_was_sent(
    seconds: float, kind: str
) -> None:
    """So the outcome is known."""
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable) as caught:
        _connect(nowhere, seconds)
    assert (caught.value.kind, caught.value.uncertain) == (kind, False)
