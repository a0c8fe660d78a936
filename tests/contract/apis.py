"""The two faces of the library, made to look alike, so that a test is written once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import ModuleType, TracebackType
from typing import Any, Protocol, Self

import consul_lock
import consul_lock.aio
from tests.contract.actors import Actor, TaskActor, ThreadActor


class Sync:
    """A client, a session or a lock of either face; its methods run on an actor, and block."""

    def __init__(self, thing: Any, actor: Actor) -> None:
        self.thing = thing
        self.actor = actor

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.thing, name)
        if not callable(value):
            return value
        return lambda *args, **options: self.actor.do(value, *args, **options)

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


class Face(Protocol):
    """One of the two."""

    name: str
    api: ModuleType

    def actor(self) -> Actor:
        """A new thread or task."""

    def function(self, body: Callable[..., Any]) -> Callable[..., Any]:
        """An ordinary function as this face decorates it."""

    def helpers(self) -> dict[object, str]:
        """The threads or tasks of the library that are alive, and their names."""

    def close(self) -> None:
        """End it."""


class Threads:
    """`consul_lock`."""

    name = "threads"
    api = consul_lock

    def actor(self) -> Actor:
        return ThreadActor()

    def function(self, body: Callable[..., Any]) -> Callable[..., Any]:
        return body

    def helpers(self) -> dict[object, str]:
        return {t: t.name for t in threading.enumerate() if t.name.startswith("consul-lock")}

    def close(self) -> None:
        pass


class Asyncio:
    """`consul_lock.aio`, on a loop in a thread of its own."""

    name = "asyncio"
    api = consul_lock.aio

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def actor(self) -> Actor:
        return TaskActor(self._loop)

    def function(self, body: Callable[..., Any]) -> Callable[..., Any]:
        async def awaited(*args: Any) -> Any:
            return body(*args)

        return awaited

    def helpers(self) -> dict[object, str]:
        names = {task: task.get_name() for task in asyncio.all_tasks(self._loop)}
        return {task: name for task, name in names.items() if name != "actor"}

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
