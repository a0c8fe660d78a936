"""The connections of one client of asyncio: few, kept alive, and shared by its tasks.

The counterpart of `_transport`, with the same limits, errors and deadlines.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from consul_lock._drivers.clock import clock
from consul_lock._drivers.connection import CutOff
from consul_lock._drivers.connection_pool import GivenUp, Idle
from consul_lock._drivers.eventlet import refuse_eventlet
from consul_lock._drivers.http import Encoder, blame_plain_http, client_closed, hung_up, silent
from consul_lock._drivers.http_reader import Answer, ClosedBeforeAnswer
from consul_lock._drivers.loop_connection import LoopConnection, connect
from consul_lock._drivers.pipeline import Connect, Means, Pipeline, Receive, Send
from consul_lock._drivers.resolver import Address, Resolver
from consul_lock._protocol.flow import Reply, Request
from consul_lock.config import Config
from consul_lock.errors import Unavailable

# Seconds that closing waits for sockets to be closed, which takes the loop one turn or two.
_CLOSING = 1.0

# What forked children keep of their parents.
_parents: list[LoopTransport] = []


class LoopTransport:
    """Sends requests on the loop of its first use."""

    def __init__(self, config: Config, holding: Callable[[], bool] = lambda: False) -> None:
        refuse_eventlet()
        self.config = config
        self._context = config.ssl_context()
        self._encode = Encoder(config).encode
        self._resolver = Resolver(config, clock)
        self._open: dict[LoopConnection, None] = {}
        self._polling: dict[LoopConnection, None] = {}
        self._unanswered: dict[LoopConnection, CutOff] = {}
        self.idle: Idle[LoopConnection] = Idle(clock, self._discard, holding)
        self.closed = False
        self._means = Means(
            config,
            clock,
            self.idle,
            self._encode,
            self._parse,
            self._put,
            self._discard,
            self._refused,
        )

    async def exchange(self, request: Request, begun: float | None = None) -> Any:
        """Perform one request.  It has one deadline, from ``begun`` (now, if it is not given) to
        the last byte of its answer."""
        timeout = request.timeout or self.config.request_timeout
        if request.wait:
            # Consul adds up to a sixteenth, and a leaderless one holds a request 7.4 s more.
            timeout += request.wait * 17 / 16
        data, sent = self._encode(request), clock()
        deadline = (sent if begun is None else begun) + timeout
        while True:
            idle = connection = self.idle.take(sent)
            if connection is None:
                connection = await self._connect(deadline)
                sent = clock()
            try:
                answer = await self._answer(connection, request, data, deadline - sent)
            except ClosedBeforeAnswer as error:
                if self._repeatable(request, idle):
                    continue
                raise hung_up(self.config) from error
            except TimeoutError as error:
                raise silent(self.config, timeout) from error
            except asyncio.CancelledError:
                self._cut_off(connection, CutOff(asyncio.current_task(), request, sent, deadline))
                raise
            return self._parse(request, answer, sent)

    def _repeatable(self, request: Request, idle: LoopConnection | None) -> bool:
        """The other side has hung up without an answer: whether to send it again, on another
        connection.  A read may be sent again, if the connection was closed while it was idle."""
        if request.wait and self.idle.crowded:
            raise GivenUp
        if idle is not None:
            return request.method == "GET"
        self._refused()
        return False

    async def _answer(
        self, connection: LoopConnection, request: Request, data: bytes, seconds: float
    ) -> Answer:
        if request.wait:
            self._polling[connection] = None
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                answer = await connection.exchange(data)
        except Exception:
            self._discard(connection)
            raise
        finally:
            self._polling.pop(connection, None)
        self._put(connection)
        return answer

    def _put(self, connection: LoopConnection) -> None:
        if self.closed:
            self._discard(connection)
        else:
            self.idle.put(connection)

    async def exchange_all(self, requests: Sequence[Request]) -> tuple[Any, ...]:
        """Perform a batch.  One result for each: what ``parse`` returns, or an exception."""
        pipeline = Pipeline(self._means, requests)
        steps = pipeline.steps()
        go_on, result = steps.send, None
        while True:
            try:
                step = go_on(result)
            except StopIteration:
                return tuple(pipeline.results)
            try:
                go_on, result = steps.send, await self._step(step)
            except BaseException as error:  # noqa: BLE001 - the pipeline is told of every exception
                go_on, result = steps.throw, error

    async def _step(self, step: Connect | Send | Receive) -> Any:
        match step:
            case Connect(deadline):
                return await self._connect(deadline)
            case Send(connection, data, _):
                return connection.send(data)
            case Receive(connection, deadline):
                async with asyncio.timeout(max(0.0, deadline - clock())):
                    return await connection.receive()

    def _parse(self, request: Request, answer: Answer, sent: float) -> Any:
        if answer.status == 400:
            blame_plain_http(self.config, answer.body)
        if answer.status == 429 and b"concurrent connections" in answer.body:
            self._refused()
        return request.parse(Reply(answer.status, answer.headers, answer.body, sent))

    async def _connect(self, deadline: float) -> LoopConnection:
        """Find the address, connect and agree on keys, in `connect_timeout`."""
        if self.closed:
            raise client_closed()
        until = min(deadline, clock() + self.config.connect_timeout)
        addresses = self._resolver.fixed or await self._resolve(until)
        for left in range(len(addresses), 0, -1):
            address = addresses[-left]
            try:
                seconds = (until - clock()) / left
                connection = await connect(self.config, self._context, address, seconds)
            except Unavailable:
                if left == 1:
                    raise
            else:
                self._resolver.remember(address)
                self._open[connection] = None
                return connection
        raise AssertionError("a resolver has found nothing, and raised no error")

    async def _resolve(self, until: float) -> list[Address]:
        done, loop, lookup = asyncio.Event(), asyncio.get_running_loop(), self._resolver.ask()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(done.set)

        lookup.tell(tell)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._resolver.patience(lookup, until) - clock())):
                await done.wait()
        return self._resolver.judge(lookup)

    def _refused(self) -> None:
        """A connection was refused: make room, see `consul_lock._drivers.connection_pool`."""
        self.idle.refused()
        for connection in list(self._polling):
            connection.abort()

    def _discard(self, connection: LoopConnection) -> None:
        self._open.pop(connection, None)
        connection.close()

    def rest(self) -> None:
        """Close what is not needed soon; called by the keeper before it waits."""
        self.idle.rest()

    # -- what was cut off ---------------------------------------------------------------------

    def _cut_off(self, connection: LoopConnection, cut: CutOff) -> None:
        if cut.request.method == "GET":
            self._discard(connection)
        else:
            self._unanswered[connection] = cut

    def unanswered(self, caller: asyncio.Task[Any] | None) -> LoopConnection | None:
        """Where this task was cancelled in a write before its answer; see `finish`."""
        for connection, cut in self._unanswered.items():
            if cut.caller is caller:
                return connection
        return None

    async def finish(self, connection: LoopConnection) -> Any:
        """Wait for the answer to a write that was cut off: the result of the request."""
        cut = self._unanswered.pop(connection)
        try:
            async with asyncio.timeout(max(0.0, cut.deadline - clock())):
                answer = await connection.receive()
        except (ClosedBeforeAnswer, TimeoutError) as error:
            raise hung_up(self.config) from error
        finally:
            self._discard(connection)
        return self._parse(cut.request, answer, cut.sent)

    def forget(self, caller: asyncio.Task[Any] | None) -> None:
        """Nobody waits for the answer to what was cut off in this task."""
        while self._unanswered and (connection := self.unanswered(caller)) is not None:
            del self._unanswered[connection]
            self._discard(connection)

    # -- the end ------------------------------------------------------------------------------

    def forked(self) -> None:
        """In a forked child, where the sockets are closed already: begin no more with them."""
        for connection in self._open:
            connection.forked()
        # asyncio warns of transports that are collected before the loop has run once more, which
        # it does not do here.
        _parents.append(self)

    async def close(self) -> None:
        """End every request under way and close all connections; can be repeated."""
        self.closed = True
        closing = [connection.gone for connection in self._open]
        for connection in list(self._open):
            self._discard(connection)
        if closing:
            await asyncio.wait(closing, timeout=_CLOSING)
