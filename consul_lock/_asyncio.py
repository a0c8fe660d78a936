"""The driver for asyncio: performs a flow on the running loop.

Beside the callers' tasks there is one keeper task a client, and one for each lock that is held
with ``watch=True``.  A client belongs to the loop on which it is first used.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from consul_lock._clock import clock
from consul_lock._fork import forget_after_fork
from consul_lock._idle import NO_PLACE, POLLS, REQUESTS, SHORT, GivenUp
from consul_lock._loop_transport import LoopTransport
from consul_lock._protocol.flow import (
    Batch,
    Call,
    Effect,
    Flow,
    Job,
    Now,
    Request,
    Sleep,
    Spawn,
    Wait,
    Wall,
    Warn,
)
from consul_lock.config import Config
from consul_lock.errors import Unavailable

log = logging.getLogger("consul_lock")

# Seconds that closing waits for clean-ups under way.
_CLEAN_UP = 5.0


class AsyncioDriver:
    """Performs flows, and supplies what else the flows of tasks need."""

    def __init__(self, config: Config) -> None:
        self.holding: Callable[[], bool] = lambda: False
        """Whether the client holds anything, for what is kept open."""
        self._http = LoopTransport(config, self._holds)
        self._config = config
        self._helpers: set[asyncio.Task[Any]] = set()
        self._polls = POLLS
        self._places: asyncio.Semaphore | None = None
        self._on_end: Callable[[], Job] | None = None
        self._on_fork: Callable[[], None] = lambda: None
        self.closed = False
        forget_after_fork(self)

    # -- what flows need beside effects ----------------------------------------------------

    def mutex(self) -> contextlib.AbstractContextManager[Any]:
        # One loop, one thread: a flow is never interrupted between two effects.
        return contextlib.nullcontext()

    def signal(self) -> asyncio.Event:
        return asyncio.Event()

    def random(self) -> float:
        return random.random()

    def _holds(self) -> bool:
        return self.holding()

    # -- running -------------------------------------------------------------------------

    async def run(self, job: Job) -> Any:
        """Run a flow to its end; after any exception run its clean-up, and raise."""
        try:
            return await self._drive(job.flow)
        except BaseException as error:
            if job.undo is not None:
                await self._clean_up(job.undo, error, job.grace(error, clock()))
            raise

    async def _drive(self, flow: Flow[Any]) -> Any:
        step, value = flow.send, None
        perform = self._perform
        while True:
            try:
                effect = step(value)
            except StopIteration as stop:
                return stop.value
            try:
                value = await perform(effect)
                step = flow.send
            except BaseException as error:  # noqa: BLE001 - the flow is told of every exception
                value, step = error, flow.throw

    async def _perform(self, effect: Effect) -> Any:
        kind = type(effect)
        if kind is Request:
            return await self._send(effect)  # type: ignore[arg-type] # told by its kind
        if kind is Now:
            return clock()
        if kind is Wall:
            return time.time()
        return await self._perform_rare(effect)

    async def _perform_rare(self, effect: Effect) -> Any:
        match effect:
            case Batch(requests):
                return await self._http.exchange_all(requests)
            case Sleep(low, high):
                await asyncio.sleep(random.uniform(low, high))
            case Wait(signal, timeout):
                if _in_keeper() and (timeout is None or timeout > SHORT):
                    self._http.rest()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout):
                        await signal.wait()  # type: ignore[attr-defined] # ours is an Event
                return signal.is_set()
            case Spawn(flow, name):
                self._start(flow, name)
            case Call(function, args):
                self._call(function, args)
            case Warn(text, event, error):
                log.warning(text, extra={"event": event}, exc_info=error)
            case _:
                raise TypeError(f"{effect!r} is no effect")
        return None

    # -- requests ------------------------------------------------------------------------

    async def _send(self, request: Request) -> Any:
        if request.urgent:
            return await self._http.exchange(request)
        if not request.wait:
            begun = clock()
            async with self._place(request.timeout or self._config.request_timeout):
                return await self._http.exchange(request, begun)
        if self._polls > 0 and not self._http.idle.crowded:
            self._polls -= 1
            try:
                return await self._http.exchange(request)
            except GivenUp:
                pass  # its connection is needed for something else
            finally:
                self._polls += 1
        # In place of a long poll: a read, a little later.
        await asyncio.sleep(min(random.uniform(*NO_PLACE), request.wait))
        return await self._send(request.immediate())

    @contextlib.asynccontextmanager
    async def _place(self, timeout: float) -> AsyncIterator[None]:
        places = self._places = self._places or asyncio.Semaphore(REQUESTS)
        try:
            async with asyncio.timeout(timeout):
                await places.acquire()
        except TimeoutError:
            raise Unavailable(
                f"{self._config.origin} has left {REQUESTS} requests of this client without an"
                f" answer for {timeout:.1f} s, so no further one was sent",
                uncertain=False,
            ) from None
        try:
            yield
        finally:
            places.release()

    # -- beside the callers ----------------------------------------------------------------

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Call the user's function; one that is ``async`` becomes a task."""
        try:
            result = function(*args)
        except Exception:
            log.exception("%r raised an exception, which changes nothing", function)
            return
        if inspect.iscoroutine(result):
            self._track(asyncio.get_running_loop().create_task(result))

    def _track(self, task: asyncio.Task[Any]) -> None:
        # The loop keeps no reference to a task: without one it could vanish while it runs.
        self._helpers.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._helpers.discard(task)
        if not task.cancelled() and task.exception() is not None and not self.closed:
            log.error("%s ended with an error; please report it", task, exc_info=task.exception())

    def _start(self, flow: Flow[Any], name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._live(flow, name), name=name)
        self._track(task)

    async def _live(self, flow: Flow[Any], name: str) -> None:
        try:
            await self._drive(flow)
        except asyncio.CancelledError:
            # The loop is ending (`asyncio.run` cancels what is left): go in order.
            if name == "consul-lock-keeper" and not self.closed and self._on_end is not None:
                await self.run(self._on_end())
                await self.close()
            raise

    async def _clean_up(
        self, undo: Callable[[], Flow[None]], error: BaseException, patience: float
    ) -> None:
        """In a task of its own: cancelling the caller does not reach it, and is not forgotten."""
        task = asyncio.get_running_loop().create_task(self._drive(undo()), name="consul-lock-undo")
        self._track(task)
        end = clock() + patience
        cancelled = None
        while not task.done() and clock() < end:
            try:
                await asyncio.wait({task}, timeout=end - clock())
            except asyncio.CancelledError as again:
                cancelled = again
        if cancelled is not None and not isinstance(error, asyncio.CancelledError):
            raise cancelled from error

    def on_fork(self, forget: Callable[[], None]) -> None:
        """Call this in a forked child, which has none of our tasks."""
        self._on_fork = forget

    def forked(self) -> None:
        """In the child: the parent's connections are not ours to use."""
        self._http.forked()
        self._http, self.closed = LoopTransport(self._config, self._holds), False
        self._helpers, self._polls, self._places = set(), POLLS, None
        self._on_fork()

    def on_end(self, close: Callable[[], Job]) -> None:
        """What to run if the loop ends before the client was closed."""
        self._on_end = close

    async def close(self) -> None:
        """End what runs beside the callers, and close all connections."""
        self.closed = True
        me = asyncio.current_task()
        undoing = {t for t in self._helpers if t is not me and t.get_name() == "consul-lock-undo"}
        try:
            if undoing:
                await asyncio.wait(undoing, timeout=_CLEAN_UP)
            others = {t for t in self._helpers if t is not me}
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others, timeout=_CLEAN_UP)
        finally:
            await self._http.close()


def _in_keeper() -> bool:
    task = asyncio.current_task()
    return task is not None and task.get_name() == "consul-lock-keeper"
