"""One kept-alive HTTP connection to Consul on an event loop, for one request at a time.

The counterpart of `consul_lock._drivers.connection`, with the same reader and the same errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable
from typing import cast

from consul_lock._drivers.http import broken, connecting, handshake_failed, unreachable
from consul_lock._drivers.http_reader import Answer, ClosedBeforeAnswer, Reader
from consul_lock._drivers.resolver import Address
from consul_lock.config import Config

# Bytes that wait for a reader before no more are taken from the socket.
_WAITING_MAX = 1024 * 1024


class LoopConnection(asyncio.Protocol):
    """A transport and its reader.  The caller sets a limit of time (`asyncio.timeout`)."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._received: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._poll = select.poll()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """Done when the socket is closed."""

    # -- called by the loop ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """These bytes came."""
        self._received.append(data)
        self._waiting += len(data)
        if self._waiting > _WAITING_MAX and not self._paused:
            # Nobody reads: it is idle, and the other side sends what was not asked for.
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The other side sends no more: the connection is of no use."""
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        self._ended, self._error = True, self._error or error
        if not self.gone.done():
            self.gone.set_result(None)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- called by the transport --------------------------------------------------------------

    async def exchange(self, data: bytes) -> Answer:
        """Send a request and read its answer.  After an error the connection is closed; after
        the task was cancelled, `receive` reads the answer, unless it was in the middle of it."""
        self.send(data)
        return await self.receive()

    def send(self, data: bytes) -> None:
        """Send one request, or several: their answers come one after the other."""
        self._transport.write(data)

    async def receive(self) -> Answer:
        """Read one answer."""
        try:
            answer = await self._answer()
        except ClosedBeforeAnswer:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise broken(self._config, error, begun=self._reader.buffered) from error
        if not answer.keep:
            self.close()
        return answer

    async def _answer(self) -> Answer:
        reader = self._reader
        if not reader.buffered:
            reader.feed(await self._more())
        answer = reader.whole()
        if answer is not None:
            return answer
        steps = reader.steps()
        try:
            next(steps)
            while True:
                steps.send(await self._more())
        except StopIteration as stop:
            return cast("Answer", stop.value)

    async def _more(self) -> bytes:
        while not self._received:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = b"".join(self._received)
        self._received.clear()
        self._waiting = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def stale(self) -> bool:
        """Whether the idle connection was closed by the other side, or is out of step."""
        # The loop may not have looked yet.
        return self.closed or self.surplus or bool(self._poll.poll(0))

    @property
    def surplus(self) -> bool:
        """Whether bytes came that belong to no answer of a request that was sent."""
        return bool(self._received) or self._reader.buffered

    @property
    def closed(self) -> bool:
        return self._ended or self._transport.is_closing()

    def close(self) -> None:
        """Close it; can be repeated.  Not in order: TLS would wait for the other side."""
        self._transport.abort()

    abort = close

    def forked(self) -> None:
        """In a forked child, where the socket is closed already: drop what is left of it.

        So the loop, should it go on, does not take the next socket with that number for this one.
        It shares its epoll with that of the parent, from which nothing can be taken out by the
        number of a socket that is closed.
        """
        with contextlib.suppress(RuntimeError):  # the loop has ended, or is another thread's
            self._transport.abort()


async def connect(
    config: Config, context: ssl.SSLContext | None, address: Address, seconds: float
) -> LoopConnection:
    """Connect, and agree on keys.  Raises `Unavailable` or `ConfigError`."""
    connection = LoopConnection(config)
    failed: Callable[[Config, OSError], Exception] = unreachable
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            found = await _connected(config, address)
            failed = handshake_failed if context is not None else unreachable
            await _opened(connection, found, config, context)
    except TimeoutError as error:
        raise failed(config, error) from error
    return connection


async def _opened(
    connection: LoopConnection,
    found: socket.socket,
    config: Config,
    context: ssl.SSLContext | None,
) -> None:
    name = None if context is None else config.tls_server_name or config.host
    loop = asyncio.get_running_loop()
    try:
        await loop.create_connection(
            lambda: connection, sock=found, ssl=context, server_hostname=name
        )
    except (OSError, ValueError) as error:
        found.close()
        raise handshake_failed(config, error) from error


async def _connected(config: Config, address: Address) -> socket.socket:
    with connecting(config, address) as found:
        found.setblocking(False)
        await asyncio.get_running_loop().sock_connect(found, address.place)
    return found
