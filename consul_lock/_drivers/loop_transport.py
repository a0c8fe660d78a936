"""The connections of one client of asyncio: few, kept alive, and shared by its tasks.

The counterpart of `consul_lock._drivers.thread_transport`, with the same limits, errors and
deadlines; `consul_lock._drivers.transport` has what both share.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from consul_lock._drivers.clock import clock
from consul_lock._drivers.credentials import refuses_credentials
from consul_lock._drivers.http import client_closed, held_for, hung_up, silent
from consul_lock._drivers.http_reader import Answer, ClosedBeforeAnswer
from consul_lock._drivers.loop_connection import LoopConnection, connect
from consul_lock._drivers.pipeline import Connect, Pipeline, Receive, Send
from consul_lock._drivers.resolver import Address
from consul_lock._drivers.transport import CutOff, TransportBase
from consul_lock._protocol.flow import Request
from consul_lock.config import Config
from consul_lock.errors import ConsulLockError, Unavailable

# Seconds that closing waits for sockets to be closed, which takes the loop one turn or two.
_CLOSING = 1.0


class LoopTransport(TransportBase[LoopConnection]):
    """Sends requests on the loop of its first use."""

    def __init__(self, config: Config, holding: Callable[[], bool] = lambda: False) -> None:
        super().__init__(config, clock, holding)

    async def exchange(self, request: Request, begun: float | None = None) -> Any:
        """Perform one request.  It has one deadline, from ``begun`` (now, if it is not given) to
        the last byte of its answer."""
        timeout = request.timeout or self.config.request_timeout
        if request.wait:
            timeout += held_for(request.wait)
        deadline = (clock() if begun is None else begun) + timeout
        # Before: should others be read now, a refusal is one of those before at worst.
        used, data = self._credentials.loaded, self._encode(request)
        try:
            return await self._exchange_once(request, data, timeout, deadline)
        except ConsulLockError as error:
            if not refuses_credentials(error) or not self._reload(used):
                raise
        return await self._exchange_once(request, self._encode(request), timeout, deadline)

    async def _exchange_once(
        self, request: Request, data: bytes, timeout: float, deadline: float
    ) -> Any:
        sent = clock()
        while True:
            idle = connection = self.idle.take(sent)
            if connection is None:
                connection = await self._connect(deadline)
                sent = clock()
            try:
                answer = await self._answer(connection, request, data, deadline)
            except ClosedBeforeAnswer as error:
                if self._repeatable(request, idle):
                    continue
                raise hung_up(self.config, request.wait) from error
            except TimeoutError as error:
                raise silent(self.config, timeout) from error
            except asyncio.CancelledError:
                self._cut_off(connection, CutOff(asyncio.current_task(), request, sent, deadline))
                raise
            return self._parse(request, answer, sent)

    async def _answer(
        self, connection: LoopConnection, request: Request, data: bytes, deadline: float
    ) -> Answer:
        if request.wait:
            self._polling[connection] = None
        try:
            async with asyncio.timeout(max(0.0, deadline - clock())):
                answer = await connection.exchange(data)
        except Exception:
            self._discard(connection)
            raise
        finally:
            self._polling.pop(connection, None)
        self._put(connection)
        return answer

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
            except BaseException as error:  # noqa: BLE001 - the pipeline gets every exception
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

    def rest(self) -> None:
        """Close what is not needed soon; called by the keeper before it waits."""
        self.idle.rest()

    async def finish(self, connection: LoopConnection) -> Any:
        """Wait for the answer to a write that was cut off: the result of the request."""
        cut = self.without_answer.pop(connection)
        try:
            async with asyncio.timeout(max(0.0, cut.deadline - clock())):
                answer = await connection.receive()
        except (ClosedBeforeAnswer, TimeoutError) as error:
            raise hung_up(self.config) from error
        finally:
            self._discard(connection)
        return self._parse(cut.request, answer, cut.sent)

    # -- the end ------------------------------------------------------------------------------

    def forked(self) -> None:
        """In a forked child, where the sockets are closed already: begin no more with them."""
        for connection in self._open:
            connection.forked()

    async def close(self) -> None:
        """End every request under way and close all connections; can be repeated."""
        self.closed = True
        closing = [connection.gone for connection in self._open]
        for connection in list(self._open):
            self._discard(connection)
        if closing:
            await asyncio.wait(closing, timeout=_CLOSING)
