"""The connections of a client of threads: which request goes where, and what is sent again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from consul_lock import Unavailable
from consul_lock._drivers.clock import clock
from consul_lock._drivers.connection import Connection
from consul_lock._drivers.resolver import Resolver
from consul_lock._drivers.thread_transport import ThreadTransport
from consul_lock._protocol.flow import Request
from tests.drivers.transport_requests import READ, WRITE, config_of, poll
from tests.support.http_messages import Answer, Message
from tests.support.ports import free_port
from tests.support.scripted_server import Script, ScriptedServer, scripted_server
from tests.support.waiting import eventually


@contextmanager
def _served(
    script: Script | Answer, **options: float
) -> Iterator[tuple[ThreadTransport, ScriptedServer]]:
    with scripted_server(script) as server:
        transport = ThreadTransport(config_of(server.address, **options), clock)
        try:
            yield transport, server
        finally:
            transport.close()


def test_requests_share_a_connection_that_is_kept() -> None:
    """One after the other."""
    with _served(Answer(200, {}, b"yes")) as (transport, server):
        assert [transport.send(request) for request in (READ, WRITE, READ)] == [b"yes"] * 3
        assert server.accepted == 1


@pytest.mark.parametrize("request_, again", [(READ, True), (WRITE, False)], ids=["GET", "PUT"])
def test_only_a_read_is_sent_again_if_the_kept_connection_was_closed(
    request_: Request, again: bool
) -> None:
    """A write may have been carried out."""

    def script(message: Message) -> Answer | None:
        return None if len(server.requests) == 2 else Answer(200, {}, b"yes")

    with _served(script) as (transport, server):
        transport.send(READ)
        if again:
            assert transport.send(request_) == b"yes"
        else:
            with pytest.raises(Unavailable) as caught:
                transport.send(request_)
            assert (caught.value.kind, caught.value.uncertain) == ("hung-up", True)
        assert len(server.requests) == (3 if again else 2)


def test_a_new_connection_without_an_answer_is_not_tried_again() -> None:
    """It was refused, and the next one would be, too."""
    with _served(lambda message: None) as (transport, server):
        with pytest.raises(Unavailable) as caught:
            transport.send(READ)
        assert caught.value.kind == "hung-up"
        assert len(server.requests) == 1
        assert transport.idle.crowded


def test_a_long_poll_for_which_there_is_no_place_is_a_read() -> None:
    """It is answered at once."""
    with _served(Answer(200, {}, b"yes")) as (transport, server):
        transport.send(poll(0.01))
        transport._polls.clear()
        transport.send(poll(0.01))
        assert [message.path for message in server.requests] == [
            "/v1/kv/a?index=7&wait=0.01s",
            "/v1/kv/a",
        ]


def test_an_address_that_refuses_is_followed_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a name that has several."""
    with _served(Answer(200, {}, b"yes")) as (transport, _):
        [good] = transport._resolver.fixed
        bad = good._replace(place=("127.0.0.1", free_port()))
        monkeypatch.setattr(Resolver, "fixed", [bad, good])
        assert transport.send(READ) == b"yes"
        monkeypatch.setattr(Resolver, "fixed", [bad])
        transport.idle.drain()
        with pytest.raises(Unavailable) as caught:
            transport.send(READ)
        assert caught.value.kind == "refused"


def test_a_write_that_was_cut_off_still_gets_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is kept for that, and used for nothing else."""

    def strike(connection: Connection, deadline: float) -> Any:
        raise KeyboardInterrupt

    with _served(Answer(200, {}, b"yes")) as (transport, server):
        with monkeypatch.context() as patch:
            patch.setattr(Connection, "receive", strike)
            with pytest.raises(KeyboardInterrupt):
                transport.send(WRITE)
        connection = transport.unanswered(threading.get_ident())
        assert connection is not None
        assert transport.send(READ) == b"yes"
        assert transport.finish(connection) == b"yes"
        assert transport.unanswered(threading.get_ident()) is None
        assert server.accepted == 2


@pytest.mark.parametrize("end", ["hang_up", "close"])
def test_the_end_of_a_client_ends_its_long_polls(end: str) -> None:
    """With an error that says so; after `close` nothing is sent, after `hang_up` no long poll."""
    with _served(lambda message: iter(())) as (transport, server), ThreadPoolExecutor(1) as pool:
        polling = pool.submit(transport.send, poll(60.0))
        eventually(lambda: server.requests)
        getattr(transport, end)()
        with pytest.raises(Unavailable):
            polling.result(120)
        with pytest.raises(Unavailable) as caught:
            transport.send(poll(60.0) if end == "hang_up" else WRITE)
        assert (caught.value.kind, caught.value.uncertain) == ("closed", False)
        assert len(server.requests) == 1
