"""Many callers at once: a thread each, or a task each, running the same written-once body."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Protocol

import consul_lock
from consul_lock import aio

Body = Coroutine[Any, Any, Any]


async def reached(value: Any) -> Any:
    """The result of a call of either face."""
    return await value if inspect.isawaitable(value) else value


class Callers(Protocol):
    """Callers of one face.  A body is a coroutine that uses `reached` around every call."""

    name: str

    def client(self, address: str, **options: Any) -> Any:
        """A client of this face."""

    def lock(self, name: str, client: Any, **options: Any) -> Any:
        """A lock of this face."""

    def start(self, body: Body) -> Future[Any]:
        """Run a body on a thread, or as a task, of its own."""

    def helpers(self) -> list[str]:
        """What the library runs beside the callers."""


class Threads:
    """A thread for each caller."""

    name = "threads"

    def __init__(self) -> None:
        # Of earlier tests: what they have left may end meanwhile.
        self._before = set(threading.enumerate())

    def client(self, address: str, **options: Any) -> Any:
        return consul_lock.Client(address, **options)

    def lock(self, name: str, client: Any, **options: Any) -> Any:
        return consul_lock.Lock(name, client=client, **options)

    def start(self, body: Body) -> Future[Any]:
        future: Future[Any] = Future()
        threading.Thread(target=_step, args=(body, future), name="caller", daemon=True).start()
        return future

    def helpers(self) -> list[str]:
        alive = set(threading.enumerate()) - self._before
        return [t.name for t in alive if t.name.startswith("consul-lock")]


def _step(body: Body, future: Future[Any]) -> None:
    """Run a coroutine that never suspends, as everything it awaits has blocked instead."""
    try:
        body.send(None)
    except StopIteration as stop:
        future.set_result(stop.value)
    except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
        future.set_exception(error)
    else:
        future.set_exception(RuntimeError("a body on a thread may not suspend"))


class Tasks:
    """A task for each caller, all on one loop, which has a thread of its own."""

    name = "asyncio"

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def client(self, address: str, **options: Any) -> Any:
        return aio.Client(address, **options)

    def lock(self, name: str, client: Any, **options: Any) -> Any:
        return aio.Lock(name, client=client, **options)

    def start(self, body: Body) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(_named(body), self.loop)

    def helpers(self) -> list[str]:
        names = [task.get_name() for task in asyncio.all_tasks(self.loop)]
        return [name for name in names if name.startswith("consul-lock")]

    def close(self) -> None:
        """End the loop, and what a test that failed has left on it."""
        asyncio.run_coroutine_threadsafe(_cancel_others(), self.loop).result(120)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _named(body: Body) -> Any:
    task = asyncio.current_task()
    assert task is not None
    task.set_name("caller")
    return await body


async def _cancel_others() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def close_all(callers: Callers, clients: list[Any]) -> None:
    """Close clients, each where it lives."""

    async def close() -> None:
        for client in clients:
            await reached(client.close())

    callers.start(close()).result(120)
