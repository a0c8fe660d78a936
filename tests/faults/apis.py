"""Both faces behind one: a test is written once and run for threads and for asyncio."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import consul_lock
from consul_lock import aio
from tests.support.agent import Agent

# Seconds that a call may take before the test gives up on it.
_LONGEST = 90.0


class Threads:
    """The blocking face, as it is."""

    name = "threads"

    def __init__(self) -> None:
        self._clients: list[consul_lock.Client] = []

    def client(self, address: str, **options: Any) -> Any:
        """A client, which is closed at the end if the test has not done so."""
        self._clients.append(consul_lock.Client(address, **options))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def lock(self, name: str, client: Any, **options: Any) -> Any:
        return consul_lock.Lock(name, client=client, **options)

    def lock_on_key(self, key: str, client: Any, **options: Any) -> Any:
        return consul_lock.Lock.on_key(key, client=client, **options)

    def session(self, client: Any, **options: Any) -> Any:
        return consul_lock.Session(client, **options)


class Asyncio:
    """The asyncio face on a loop of its own thread; its coroutines are run to their end there."""

    name = "asyncio"

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._clients: list[OnLoop] = []

    def client(self, address: str, **options: Any) -> Any:
        """A client, which is closed at the end if the test has not done so."""
        self._clients.append(OnLoop(aio.Client(address, **options), self.loop))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def lock(self, name: str, client: Any, **options: Any) -> Any:
        return OnLoop(aio.Lock(name, client=client.inner, **options), self.loop)

    def lock_on_key(self, key: str, client: Any, **options: Any) -> Any:
        return OnLoop(aio.Lock.on_key(key, client=client.inner, **options), self.loop)

    def session(self, client: Any, **options: Any) -> Any:
        return OnLoop(aio.Session(client.inner, **options), self.loop)


class OnLoop:
    """Something of the asyncio face whose methods block."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        return self._blocking(value) if inspect.ismethod(value) else value

    def _blocking(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **options: Any) -> Any:
            result = method(*args, **options)
            return await result if inspect.isawaitable(result) else result

        def run(*args: Any, **options: Any) -> Any:
            future = asyncio.run_coroutine_threadsafe(call(*args, **options), self._loop)
            return future.result(_LONGEST)

        return run


Face = Threads | Asyncio


def sessions_of(client: Any, agent: Agent) -> set[str]:
    """The ids of the sessions that this client has made and named, and that are still there."""
    label = getattr(client, "inner", client)._core.pool._label
    return {session["ID"] for session in agent.sessions() if session["Name"].startswith(label)}


@contextmanager
def open_face(name: str) -> Iterator[Face]:
    """The face of this name, "threads" or "asyncio"."""
    if name == "threads":
        with closing(Threads()) as face:
            yield face
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="asyncio of the test")
    thread.start()
    try:
        with closing(Asyncio(loop)) as face:
            yield face
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
