"""The driver for asyncio: performs a flow on the running loop.

Beside the callers' tasks there is one keeper task a client, and one for each lock that is held
with ``watch=True``.  A client belongs to the loop on which it is first used.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from consul_lock._drivers.clock import clock
from consul_lock._drivers.connection_pool import NO_PLACE, POLLS, REQUESTS, SHORT, GivenUp
from consul_lock._drivers.event_log import PREFIX, put_record
from consul_lock._drivers.fork import forget_after_fork, notice_fork
from consul_lock._drivers.http import backlog, client_closed
from consul_lock._drivers.jitter import between, fraction
from consul_lock._drivers.loop_connection import LoopConnection
from consul_lock._drivers.loop_reporter import LoopReporter
from consul_lock._drivers.loop_transport import LoopTransport
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
from consul_lock.errors import ConfigError, ConsulLockError

log = logging.getLogger("consul_lock")

T = TypeVar("T")

# Seconds that closing waits for clean-ups under way.
_CLEAN_UP = 5.0


class AsyncioDriver:
    """Performs flows, and supplies what else the flows of tasks need.

    A task that is cancelled in the middle of a write cannot know what becomes of it.  Should the
    write be carried out after the undo has looked, the session is destroyed while it holds the
    lock, and everybody sits out a lock-delay:

        caller  write sent ... cancelled
        undo                     read: nothing there ......... destroy the session
        Consul                                    write done   lock-delay

    So the undo waits for the answer first, lets the flow take it in, and begins when it is known
    how things stand.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.holding: Callable[[], bool] = lambda: False
        """Whether the client holds anything, for what is kept open."""
        self.reporter = LoopReporter()
        self._on_end: Callable[[], Flow[None]] | None = None
        self._on_fork: Callable[[], None] = lambda: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begin()
        forget_after_fork(self)

    def _begin(self) -> None:
        self._http = LoopTransport(self._config, self._holds)
        self._helpers: set[asyncio.Task[Any]] = set()
        self._calls: dict[asyncio.Task[Any] | None, Job[Any]] = {}
        self._undoing: set[asyncio.Task[None]] = set()
        self._waits: set[asyncio.Timeout] = set()
        """What ends when the client closes."""
        self._polls = POLLS
        self._places: asyncio.Semaphore | None = None
        self._ending = False
        self._closer: asyncio.Task[None] | None = None
        self._closing_for: asyncio.Task[Any] | None = None
        self.closed = False

    # -- what flows need beside effects ----------------------------------------------------

    def mutex(self) -> contextlib.AbstractContextManager[Any]:
        # One loop, one thread: a flow is never interrupted between two effects.
        return contextlib.nullcontext()

    def signal(self) -> asyncio.Event:
        return asyncio.Event()

    def random(self) -> float:
        return fraction()

    def _holds(self) -> bool:
        return self.holding()

    # -- running -------------------------------------------------------------------------

    async def run(self, job: Job[T]) -> T:
        """Run a flow to its end; after any exception run its clean-up, and raise."""
        notice_fork()
        self._see_loop()
        me = asyncio.current_task()
        self._http.forget(me)
        if job.undo is None:
            return await self._ask(job.flow)
        self._calls[me] = job
        try:
            return await self._drive(job.flow)
        except BaseException as error:
            patience = job.grace(error, clock())
            await self._clean_up(job, self._http.unanswered(me), error, patience)
            raise
        finally:
            self._calls.pop(me, None)

    async def _ask(self, flow: Flow[T]) -> T:
        """A call after which nothing has to be undone."""
        try:
            return await self._drive(flow)
        except BaseException:
            self._http.forget(asyncio.current_task())
            raise

    def _see_loop(self) -> None:
        """A client belongs to the loop of its first use: on another one, it would wait for ever
        for what the first one has to do."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            ended = ", which has ended" if self._loop.is_closed() else ""
            raise ConfigError(
                problem=f"this client was first used on another event loop{ended}, and belongs to"
                " it",
                hint="make one client for each loop, inside the coroutine that asyncio.run() is"
                " given; a lock without client= has the one of its loop",
                kind="event-loop",
            )

    async def _drive(self, flow: Flow[T]) -> T:
        step, value = flow.send, None
        perform = self._perform
        while True:
            try:
                effect = step(value)
            except StopIteration as stop:
                result: T = stop.value
                return result
            try:
                value = await perform(effect)
                step = flow.send
            except BaseException as error:
                if self._http.unanswered(asyncio.current_task()) is not None:
                    raise  # the flow stays where it is: it gets the answer before the undo
                value, step = error, flow.throw

    async def _perform(self, effect: Effect) -> Any:
        kind = type(effect)
        if kind is Request:
            return await self._send(effect)  # type: ignore[arg-type] # its kind says so
        if kind is Now:
            return clock()
        if kind is Wall:
            return time.time()
        return await self._perform_rare(effect)

    async def _perform_rare(self, effect: Effect) -> Any:
        match effect:
            case Batch(requests):
                return await self._http.exchange_all(requests)
            case Sleep(low, high) if asyncio.current_task() in self._calls:
                async with self._until_closed():
                    await asyncio.sleep(between(low, high))
            case Sleep(low, high):
                await asyncio.sleep(between(low, high))
            case Wait(signal, timeout):
                if _in_keeper() and (timeout is None or timeout > SHORT):
                    self._http.rest()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout):
                        await signal.wait()  # type: ignore[attr-defined] # the driver's is an Event
                return signal.is_set()
            case Spawn(flow, name):
                self._start(flow, name)
            case Call(function, args):
                self._call(function, args)
            case Warn(text, event, error):
                more = {"event": event, f"{PREFIX}event": event}
                put_record(logging.WARNING, text, extra=more, exc_info=error)
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
        async with self._until_closed():
            if self._polls > 0 and not self._http.idle.crowded:
                self._polls -= 1
                try:
                    return await self._http.exchange(request)
                except GivenUp:
                    pass  # its connection is needed for something else
                finally:
                    self._polls += 1
            # In place of a long poll: a read, a little later.
            await asyncio.sleep(min(between(*NO_PLACE), request.wait))
        return await self._send(request.immediate())

    @contextlib.asynccontextmanager
    async def _until_closed(self) -> AsyncIterator[None]:
        """A wait in this block ends in `Unavailable` when the client closes."""
        if self._ending:
            raise client_closed()
        try:
            async with asyncio.timeout(None) as scope:
                self._waits.add(scope)
                try:
                    yield
                finally:
                    self._waits.discard(scope)
        except TimeoutError:
            raise client_closed() from None

    @contextlib.asynccontextmanager
    async def _place(self, timeout: float) -> AsyncIterator[None]:
        places = self._places = self._places or asyncio.Semaphore(REQUESTS)
        try:
            async with asyncio.timeout(timeout):
                await places.acquire()
        except TimeoutError:
            raise backlog(self._config, REQUESTS, timeout) from None
        try:
            yield
        finally:
            places.release()

    # -- beside the callers ----------------------------------------------------------------

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Call the user's function; one that is ``async`` becomes a task."""
        try:
            result = function(*args)
        except Exception:  # noqa: BLE001 - it changes nothing
            text = "%r raised an exception, which changes nothing"
            put_record(logging.ERROR, text, function, exc_info=True)
            return
        if inspect.iscoroutine(result):
            self._track(asyncio.get_running_loop().create_task(result))

    def _track(self, task: asyncio.Task[Any]) -> None:
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
            if name == "consul-lock-keeper" and self._closer is None:
                self._closer = asyncio.current_task()
                await self._close()
            raise
        if name == "consul-lock-keeper":
            # Nothing is left to keep, so nobody would close them when the loop ends.
            self._http.idle.drain()

    # -- undoing what was cut off ----------------------------------------------------------

    async def _clean_up(
        self,
        job: Job[Any],
        unanswered: LoopConnection | None,
        error: BaseException,
        patience: float,
    ) -> None:
        """In a task of its own: cancelling the caller does not reach it, and is not forgotten."""
        undo = self._undo(job, unanswered)
        task = asyncio.get_running_loop().create_task(undo, name="consul-lock-undo")
        self._track(task)
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)
        cancelled = await _wait_for(task, patience)
        if cancelled is not None and not isinstance(error, asyncio.CancelledError):
            raise cancelled from error

    async def _undo(self, job: Job[Any], unanswered: LoopConnection | None) -> None:
        try:
            await self._undo_once(job, unanswered)
        except asyncio.CancelledError:
            # The loop is ending, which cancels each task once: again, what is still to be done.
            await self._undo_once(job, unanswered)
            raise

    async def _undo_once(self, job: Job[Any], unanswered: LoopConnection | None) -> None:
        assert job.undo is not None
        if unanswered is not None:
            await self._take_in(job.flow, unanswered)
        await self._drive(job.undo())

    async def _take_in(self, flow: Flow[Any], connection: LoopConnection) -> None:
        """Let a flow that was cut off take in the answer it was waiting for, and end it there."""
        try:
            try:
                value = await self._http.finish(connection)
            except ConsulLockError as error:
                flow.throw(error)
            else:
                flow.send(value)
        except (StopIteration, ConsulLockError):
            return  # it has ended by itself
        flow.close()

    def catch_up(self) -> None:
        """Nothing is ever left: between two awaits nothing strikes."""

    # -- the end ---------------------------------------------------------------------------

    def on_end(self, close: Callable[[], Flow[None]]) -> None:
        """The flow that gives everything back: for `close`, or the end of the loop."""
        self._on_end = close

    def hang_up(self) -> None:
        """Calls wait for nothing any more: their long polls and pauses end in `Unavailable`."""
        if self._ending:
            return
        self._ending = True
        now = asyncio.get_running_loop().time()
        for scope in list(self._waits):
            scope.reschedule(now)

    def busy(self) -> bool:
        """Whether calls are under way, or undone; but for that of the task that closes."""
        return bool(self._undoing) or any(task is not self._closing_for for task in self._calls)

    async def close(self) -> None:
        """Give everything back, end what runs beside the callers, and close all connections.

        In a task of its own: a caller that is cancelled leaves it at work.
        """
        notice_fork()
        if self.closed:
            return
        self._see_loop()
        if self._closer is None:
            self._closing_for = asyncio.current_task()
            loop = asyncio.get_running_loop()
            self._closer = loop.create_task(self._close(), name="consul-lock-close")
        closer = self._closer
        try:
            await asyncio.wait({closer})  # not awaited itself: cancelling this task would cancel it
        except asyncio.CancelledError:
            await _wait_for(closer, _CLEAN_UP)
            raise
        if not closer.cancelled() and (error := closer.exception()) is not None:
            raise error

    async def _close(self) -> None:
        try:
            await self._give_back()
        except asyncio.CancelledError:
            # The loop is ending, which cancels each task once: again, what is still to be done.
            await self._give_back()
            raise
        finally:
            self.closed = True
            await self._end_helpers()

    async def _give_back(self) -> None:
        if self._on_end is not None:
            await self._drive(self._on_end())

    async def _end_helpers(self) -> None:
        ours = {asyncio.current_task(), self._closing_for}
        others = {task for task in self._helpers if task not in ours}
        try:
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others, timeout=_CLEAN_UP)
            await self.reporter.drain(self._closing_for)
        finally:
            self.reporter.end()
            await self._http.close()

    def drop(self, tell: Callable[[], None]) -> None:
        """Nobody can use it any more: close what is open, and ``tell`` the keeper on its loop.

        Called from a ``__del__``, which any thread may run.
        """
        self.reporter.end()
        loop = self._loop
        if loop is None or loop.is_closed():
            return

        def dropped() -> None:
            tell()
            self._http.idle.drop()

        try:
            loop.call_soon_threadsafe(dropped)
        except RuntimeError:
            return  # the loop has just ended

    def on_fork(self, forget: Callable[[], None]) -> None:
        """Call this in a forked child, which has none of the parent's tasks."""
        self._on_fork = forget

    def forked(self) -> None:
        """In the child: the parent's connections must not be used."""
        self._http.forked()
        self.reporter.forked()
        self._loop = None
        self._begin()
        self._on_fork()


async def _wait_for(task: asyncio.Task[Any], seconds: float) -> asyncio.CancelledError | None:
    """Wait for clean-up for a while, even if cancelled meanwhile, which is returned."""
    end, cancelled = clock() + seconds, None
    while not task.done() and clock() < end:
        try:
            await asyncio.wait({task}, timeout=end - clock())
        except asyncio.CancelledError as again:
            cancelled = again
    return cancelled


def _in_keeper() -> bool:
    task = asyncio.current_task()
    return task is not None and task.get_name() == "consul-lock-keeper"
