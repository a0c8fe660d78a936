"""Actors: the threads, or tasks, that a test lets call the API."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

# Seconds after which a call that should have returned counts as hung.
HUNG = 60.0


class Actor(Protocol):
    """One thread or task; a lock takes it for its owner."""

    def start(self, function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        """Call a function there, after all calls before it; a coroutine is awaited."""

    def do(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function there, and return its result or raise its error here."""

    def close(self) -> None:
        """End it, once its last call has returned."""


class ThreadActor:
    """A thread."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="actor")

    def start(self, function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        return self._pool.submit(function, *args, **options)

    def do(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self.start(function, *args, **options).result(HUNG)

    def close(self) -> None:
        self._pool.shutdown()


class TaskActor:
    """A task on a loop that runs in another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: asyncio.Queue[tuple[Callable[[], Any], Future[Any]] | None] = asyncio.Queue()
        self._life = asyncio.run_coroutine_threadsafe(self._live(), loop)

    def start(self, function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        call = partial(function, *args, **options), future
        self._loop.call_soon_threadsafe(self._calls.put_nowait, call)
        return future

    def do(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self.start(function, *args, **options).result(HUNG)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._calls.put_nowait, None)
        self._life.result(HUNG)

    async def _live(self) -> None:
        asyncio.current_task().set_name("actor")  # type: ignore[union-attr] # this is one
        while (call := await self._calls.get()) is not None:
            function, future = call
            try:
                result = function()
                future.set_result(await result if inspect.isawaitable(result) else result)
            except Exception as error:  # noqa: BLE001 - raised by the test that waits for the call
                future.set_exception(error)
