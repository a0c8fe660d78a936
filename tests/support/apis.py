"""The two APIs of the library, made to look alike, so that a test is written once.

A test uses them in one of two ways.  With `Sync` each call is made by an actor, a thread or task of
the test's choice, as whose hold it is depends on that.  With `client`, `lock` and `session` of an
API a call is made where the test calls it: by its thread, or as a task of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from types import TracebackType
from typing import Any, Self

import consul_lock
import consul_lock.aio
from tests.support.actors import Actor, TaskActor, ThreadActor
from tests.support.agent import Agent

# Seconds that a call may take before the test gives up on it.
_LONGEST = 90.0


class Sync:
    """A client, a session or a lock of either API; its methods run on an actor, and block."""

    def __init__(self, thing: Any, actor: Actor) -> None:
        self.thing = thing
        self.actor = actor

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.thing, name)
        if not callable(value):
            return value
        return lambda *args, **options: self.actor.do(value, *args, **options)

    def ask(self, name: str) -> Any:
        """A property, as the thread or task sees it that uses the thing."""
        return self.actor.do(getattr, self.thing, name)

    def by(self, actor: Actor) -> Self:
        """The same thing, used by another thread or task."""
        return type(self)(self.thing, actor)

    def start(self, method: str, *args: Any, **options: Any) -> Future[Any]:
        """Call a method, and do not wait for its end."""
        return self.actor.start(getattr(self.thing, method), *args, **options)

    def __call__(self, *args: Any, **options: Any) -> Self:
        return type(self)(self.thing(*args, **options), self.actor)

    def __enter__(self) -> Self:
        entered = self.actor.do(self._special("enter"))
        return self if entered is self.thing else type(self)(entered, self.actor)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.actor.do(self._special("exit"), kind, error, traceback)

    def _special(self, name: str) -> Callable[..., Any]:
        mark = f"__{name}__" if hasattr(self.thing, f"__{name}__") else f"__a{name}__"
        special: Callable[..., Any] = getattr(self.thing, mark)
        return special


class Threads:
    """`consul_lock`."""

    name = "threads"
    api = consul_lock

    def __init__(self) -> None:
        self._clients: list[consul_lock.Client] = []

    def actor(self) -> Actor:
        """A new thread."""
        return ThreadActor()

    def function(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """An ordinary function as this API decorates it."""
        return body

    def helpers(self) -> dict[object, str]:
        """The threads of the library that are alive, and their names."""
        return {t: t.name for t in threading.enumerate() if t.name.startswith("consul-lock")}

    def client(self, address: str, **options: Any) -> Any:
        """A client, which is closed at the end if the test has not done so."""
        self._clients.append(consul_lock.Client(address, **options))
        return self._clients[-1]

    def lock(self, name: str, client: Any, **options: Any) -> Any:
        """A lock of such a client."""
        return consul_lock.Lock(name, client=client, **options)

    def lock_on_key(self, key: str, client: Any, **options: Any) -> Any:
        """The same, by its key."""
        return consul_lock.Lock.on_key(key, client=client, **options)

    def session(self, client: Any, **options: Any) -> Any:
        """A session of such a client, for several locks."""
        return consul_lock.Session(client, **options)

    def close(self) -> None:
        """End it."""
        for client in self._clients:
            client.close()


class Asyncio:
    """`consul_lock.aio`, on a loop in a thread of its own."""

    name = "asyncio"
    api = consul_lock.aio

    def __init__(self) -> None:
        self._clients: list[OnLoop] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def actor(self) -> Actor:
        """A new task."""
        return TaskActor(self.loop)

    def function(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """An ordinary function as this API decorates it."""

        async def awaited(*args: Any) -> Any:
            return body(*args)

        return awaited

    def helpers(self) -> dict[object, str]:
        """The tasks of the library that are alive, and their names."""
        names = {task: task.get_name() for task in asyncio.all_tasks(self.loop)}
        return {task: name for task, name in names.items() if name != "actor"}

    def client(self, address: str, **options: Any) -> Any:
        """A client, which is closed at the end if the test has not done so."""
        self._clients.append(OnLoop(consul_lock.aio.Client(address, **options), self.loop))
        return self._clients[-1]

    def lock(self, name: str, client: Any, **options: Any) -> Any:
        """A lock of such a client."""
        return OnLoop(consul_lock.aio.Lock(name, client=client.inner, **options), self.loop)

    def lock_on_key(self, key: str, client: Any, **options: Any) -> Any:
        """The same, by its key."""
        made = consul_lock.aio.Lock.on_key(key, client=client.inner, **options)
        return OnLoop(made, self.loop)

    def session(self, client: Any, **options: Any) -> Any:
        """A session of such a client, for several locks."""
        return OnLoop(consul_lock.aio.Session(client.inner, **options), self.loop)

    def close(self) -> None:
        """End it, and the loop."""
        try:
            for client in self._clients:
                client.close()
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()


class OnLoop:
    """Something of the asyncio API whose methods block."""

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


def open_face(name: str) -> closing[Face]:
    """The API of this name, "threads" or "asyncio", for the length of a block."""
    return closing(Threads() if name == "threads" else Asyncio())
