"""One connection of an event loop, fed by hand with what comes from a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

import pytest

from consul_lock._drivers.http_reader import ClosedBeforeAnswer, CutShort
from consul_lock._drivers.loop_connection import LoopConnection
from consul_lock.config import Config
from consul_lock.errors import Unavailable

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Transport:
    """The other side of a connection as asyncio gives it to a protocol."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str) -> socket.socket:
        return self._sock

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


Scenario = Callable[[LoopConnection, Transport], Coroutine[Any, Any, None]]


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair; the first one is that of the connection."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@pytest.fixture
def play(sockets: tuple[socket.socket, socket.socket]) -> Callable[[Scenario], None]:
    """Runs a scenario with an open connection."""

    async def main(scenario: Scenario) -> None:
        connection, transport = LoopConnection(Config()), Transport(sockets[0])
        connection.connection_made(cast("asyncio.BaseTransport", transport))
        await asyncio.wait_for(scenario(connection, transport), 30)

    return lambda scenario: asyncio.run(main(scenario))


async def _asking(connection: LoopConnection) -> asyncio.Task[Any]:
    """A task that has sent a request, and waits for the answer."""
    task = asyncio.create_task(connection.exchange(b"ask"))
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_an_answer_is_read_in_whatever_pieces_it_comes(
    play: Callable[[Scenario], None], piece: int
) -> None:
    """And the connection can be used again."""

    async def scenario(connection: LoopConnection, transport: Transport) -> None:
        for number in (1, 2):
            task = await _asking(connection)
            for start in range(0, len(ANSWER), piece):
                connection.data_received(ANSWER[start : start + piece])
                await asyncio.sleep(0)
            assert (await task).body == b"ok"
            assert transport.written == b"ask" * number
        assert not connection.stale()
        assert not connection.closed

    play(scenario)


def test_answers_that_come_at_once_are_read_one_after_the_other(
    play: Callable[[Scenario], None],
) -> None:
    """As those to several requests that were sent at once."""

    async def scenario(connection: LoopConnection, transport: Transport) -> None:
        connection.send(b"ask" * 2)
        connection.data_received(ANSWER * 2)
        assert [(await connection.receive()).body for _ in range(2)] == [b"ok", b"ok"]

    play(scenario)


@pytest.mark.parametrize(
    "before, error, raised",
    [
        (b"", None, ClosedBeforeAnswer),
        (b"", ConnectionResetError("reset"), ClosedBeforeAnswer),
        (b"", OSError("no route"), Unavailable),
        (b"HTTP/1.1 200", ConnectionResetError("reset"), Unavailable),
        (b"HTTP/1.1 200", None, (CutShort, Unavailable)),
    ],
    ids=["end", "reset", "error", "reset in the middle", "end in the middle"],
)
def test_it_is_closed_when_the_other_side_ends_it(
    play: Callable[[Scenario], None], before: bytes, error: Exception | None, raised: Any
) -> None:
    """And an answer cut short is never taken for a whole one."""

    async def scenario(connection: LoopConnection, transport: Transport) -> None:
        task = await _asking(connection)
        if before:
            connection.data_received(before)
            await asyncio.sleep(0)
        if error is None:
            connection.eof_received()
        else:
            connection.connection_lost(error)
        with pytest.raises(raised):
            await task
        assert transport.closed
        assert connection.closed

    play(scenario)


def test_it_is_closed_after_an_answer_that_says_so(play: Callable[[Scenario], None]) -> None:
    """Though the other side has not closed it yet."""

    async def scenario(connection: LoopConnection, transport: Transport) -> None:
        task = await _asking(connection)
        connection.data_received(ANSWER.replace(b"Content", b"Connection: close\r\nContent"))
        assert (await task).body == b"ok"
        assert transport.closed

    play(scenario)


def test_the_answer_to_a_request_whose_task_was_cancelled_can_still_be_had(
    play: Callable[[Scenario], None],
) -> None:
    """The connection stays open for it."""

    async def scenario(connection: LoopConnection, transport: Transport) -> None:
        task = await _asking(connection)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not connection.closed
        connection.data_received(ANSWER)
        assert (await connection.receive()).body == b"ok"

    play(scenario)


def test_an_idle_connection_on_which_something_comes_is_stale(
    play: Callable[[Scenario], None], sockets: tuple[socket.socket, socket.socket]
) -> None:
    """Also if the loop has not read it yet: it would be taken for the next answer."""

    async def scenario(connection: LoopConnection, transport: Transport) -> None:
        assert not connection.stale()
        sockets[1].send(b"x")
        assert connection.stale()
        sockets[0].recv(1)
        assert not connection.stale()
        connection.data_received(b"x")
        assert connection.stale()

    play(scenario)


def test_it_says_when_its_socket_is_closed(play: Callable[[Scenario], None]) -> None:
    """Once, for those that wait for it."""

    async def scenario(connection: LoopConnection, transport: Transport) -> None:
        connection.close()
        assert transport.closed
        assert not connection.gone.done()
        connection.connection_lost(None)
        assert connection.gone.done()
        connection.connection_lost(None)

    play(scenario)
