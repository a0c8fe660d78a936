"""The connections of a client of asyncio: which request goes where, and what is sent again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from consul_lock import Unavailable
from consul_lock._drivers.loop_transport import LoopTransport
from consul_lock._drivers.resolver import Resolver
from consul_lock._protocol.flow import Request
from tests.drivers.transport_requests import READ, WRITE, config_of, poll
from tests.support.http_messages import Answer, Message
from tests.support.ports import free_port
from tests.support.scripted_server import Script, ScriptedServer, scripted_server
from tests.support.waiting import eventually_async

Use = Callable[[LoopTransport, ScriptedServer], Coroutine[Any, Any, None]]


def _served(script: Script | Answer, use: Use) -> ScriptedServer:
    """Use a transport before such a server, on a loop."""

    async def main() -> None:
        transport = LoopTransport(config_of(server.address))
        try:
            await use(transport, server)
        finally:
            await transport.close()
        assert not transport._open

    with scripted_server(script) as server:
        asyncio.run(asyncio.wait_for(main(), 60))
    return server


def test_requests_share_a_connection_that_is_kept() -> None:
    """One after the other."""

    async def use(transport: LoopTransport, server: ScriptedServer) -> None:
        for request in (READ, WRITE, READ):
            assert await transport.exchange(request) == b"yes"

    assert _served(Answer(200, {}, b"yes"), use).accepted == 1


@pytest.mark.parametrize("request_, again", [(READ, True), (WRITE, False)], ids=["GET", "PUT"])
def test_only_a_read_is_sent_again_if_the_kept_connection_was_closed(
    request_: Request, again: bool
) -> None:
    """A write may have been carried out."""
    came = list[Message]()

    def script(message: Message) -> Answer | None:
        came.append(message)
        return None if len(came) == 2 else Answer(200, {}, b"yes")

    async def use(transport: LoopTransport, server: ScriptedServer) -> None:
        await transport.exchange(READ)
        if again:
            assert await transport.exchange(request_) == b"yes"
            return
        with pytest.raises(Unavailable) as caught:
            await transport.exchange(request_)
        assert (caught.value.kind, caught.value.uncertain) == ("hung-up", True)

    assert len(_served(script, use).requests) == (3 if again else 2)


def test_a_new_connection_without_an_answer_is_not_tried_again() -> None:
    """It was refused, and the next one would be, too."""

    async def use(transport: LoopTransport, server: ScriptedServer) -> None:
        with pytest.raises(Unavailable) as caught:
            await transport.exchange(READ)
        assert caught.value.kind == "hung-up"
        assert transport.idle.crowded

    assert len(_served(lambda message: None, use).requests) == 1


def test_an_address_that_refuses_is_followed_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a name that has several."""

    async def use(transport: LoopTransport, server: ScriptedServer) -> None:
        [good] = transport._resolver.fixed
        bad = good._replace(place=("127.0.0.1", free_port()))
        monkeypatch.setattr(Resolver, "fixed", [bad, good])
        assert await transport.exchange(READ) == b"yes"
        monkeypatch.setattr(Resolver, "fixed", [bad])
        transport.idle.drain()
        with pytest.raises(Unavailable) as caught:
            await transport.exchange(READ)
        assert caught.value.kind == "refused"

    _served(Answer(200, {}, b"yes"), use)


def test_a_write_that_was_cut_off_still_gets_its_answer() -> None:
    """Its connection is kept for that, and used for nothing else."""
    answer = threading.Event()

    def script(message: Message) -> Answer:
        if message.method == "PUT":
            answer.wait(120)
        return Answer(200, {}, b"yes")

    async def use(transport: LoopTransport, server: ScriptedServer) -> None:
        task = asyncio.create_task(transport.exchange(WRITE))
        await eventually_async(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        connection = transport.unanswered(task)
        assert connection is not None
        assert await transport.exchange(READ) == b"yes"
        answer.set()
        assert await transport.finish(connection) == b"yes"
        assert transport.unanswered(task) is None
        assert server.accepted == 2

    _served(script, use)


def test_the_end_of_a_client_ends_its_long_polls() -> None:
    """With an error that says so; after it nothing is sent."""

    async def use(transport: LoopTransport, server: ScriptedServer) -> None:
        polling = asyncio.create_task(transport.exchange(poll(60.0)))
        await eventually_async(lambda: server.requests)
        await transport.close()
        with pytest.raises(Unavailable):
            await polling
        with pytest.raises(Unavailable) as caught:
            await transport.exchange(WRITE)
        assert (caught.value.kind, caught.value.uncertain) == ("closed", False)

    assert len(_served(lambda message: iter(()), use).requests) == 1
