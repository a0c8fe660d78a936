"""What is written once for each API; here for asyncio: driver, default client, callers, losses.

The names that both APIs use (`make_driver`, `DefaultClient`, `current_owner`) are the same in
``consul_lock/_blocking/runtime.py``.  What only asyncio has is used between markers that
``scripts/unasync.py`` drops: what a loss cancels, and `Running`.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from consul_lock._api.options import Options
from consul_lock._drivers.asyncio import AsyncioDriver
from consul_lock._drivers.fork import notice_fork
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.hold.hold import Hold
from consul_lock.config import Config
from consul_lock.errors import ConfigError

R = TypeVar("R")


class LossOptions(Options, total=False):
    """What everything that can be held has in common in asyncio, by keyword."""

    cancel_on_loss: bool


def make_driver(config: Config) -> AsyncioDriver:
    """The driver of a client."""
    return AsyncioDriver(config)


def current_owner() -> Any:
    """The task that asks: a weak reference to it; None outside of the loop."""
    notice_fork()  # each answer about a hold is one to somebody
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return None if task is None else weakref.ref(task)


# -- the default client ----------------------------------------------------------------------------


class HasCore(Protocol):
    """A client."""

    _core: ClientCore


C = TypeVar("C", bound=HasCore)


class DefaultClient(Generic[C]):
    """The client of locks that were given none: one for each loop, from the environment."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, C] = (
            weakref.WeakKeyDictionary()
        )

    def get(self) -> C:
        """The one of the running loop.  Raises `ConfigError` if none is running."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise ConfigError(
                problem=(
                    "a lock without client= belongs to the running event loop, and none is running"
                ),
                hint="make the lock inside a coroutine, or give it a Client",
                kind="event-loop",
                settings=("client",),
            ) from error
        # A client knows its loop, which keeps the loop from being collected.
        for ended in [known for known in self._clients if known.is_closed()]:
            del self._clients[ended]
        client = self._clients.get(loop)
        if client is None or client._core.closed:
            client = self._clients[loop] = self._make()
        return client


# -- what a loss cancels ---------------------------------------------------------------------------


async def run_while_held(
    lost: asyncio.Event, work: Awaitable[R], raise_loss: Callable[[], Any]
) -> R:
    """Await the work as a task; after a loss, which cancels it, ``raise_loss()`` is called."""
    me = asyncio.current_task()
    assert me is not None
    asked = me.cancelling()
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_cancel_when(lost, task))
    try:
        return await task
    except asyncio.CancelledError:
        if me.cancelling() > asked or not lost.is_set():
            raise  # something else has cancelled it, or this task
        raise_loss()
        raise
    finally:
        watcher.cancel()


async def _cancel_when(lost: asyncio.Event, work: asyncio.Future[R]) -> None:
    await lost.wait()
    work.cancel()


class Cancellation:
    """Cancels the task of a block once something has happened, as `asyncio.timeout` does.

    A task has one way to be interrupted, and several who may want to: this block, blocks and
    timeouts around it and inside it, a `TaskGroup`, and any caller of ``task.cancel()``.  All they
    send is `CancelledError`, so the one at the end of a block does not say who sent it:

        async with asyncio.timeout(5):      cancelling()
            async with lock:                0 -> remembered
                await work()                1: the lock is lost; 2: the timeout strikes, too
            # uncancel() -> 1 > 0: something else wants the task to end as well: do not turn it
            # into LockLost.  The timeout's uncancel() -> 0 <= 0: its own, so TimeoutError.

    So each takes back what it has asked for, and turns the `CancelledError` into its own exception
    only if nothing is left of what was asked for since it began.  The obvious rule, "I have
    cancelled, so the CancelledError is mine", swallows the cancellations of others: a task that
    was asked to end would go on.

    It strikes from a task of its own, so only while the block is waiting for something, and its
    exception is delivered there, before the block goes on.
    """

    def __init__(self, happens: Callable[[], Awaitable[object]]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._asked = task.cancelling()
        self._struck = False
        self._watcher = asyncio.get_running_loop().create_task(
            self._watch(happens), name="consul-lock-cancel"
        )

    async def _watch(self, happens: Callable[[], Awaitable[object]]) -> None:
        await happens()
        self._struck = True
        self._task.cancel()

    def end(self, error: BaseException | None) -> bool:
        """The block has ended; whether what ended it is this cancellation, and nobody else's."""
        self._watcher.cancel()
        if not self._struck:
            return False
        alone = self._task.uncancel() <= self._asked
        return alone and isinstance(error, asyncio.CancelledError)


class Block(NamedTuple):
    """An ``async with`` block that is cancelled when its hold is lost."""

    owner: Any
    hold: Hold
    cancellation: Cancellation


class Blocks:
    """The blocks of one lock that were entered and not left."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []

    def enter(self, owner: Any, hold: Hold | None) -> None:
        """A block begins: it is cancelled when this hold is lost."""
        if hold is not None:
            lost: Any = hold.lost
            self._blocks.append(Block(owner, hold, Cancellation(lost.wait)))

    def leave(self, owner: Any, error: BaseException | None) -> Hold | None:
        """A block ends: what was lost, if that has ended it."""
        if not self._blocks:
            return None
        # One that ends elsewhere than it began is the oldest, as for its hold.
        mine = [block for block in self._blocks if block.owner == owner]
        block = mine[-1] if mine else self._blocks[0]
        self._blocks.remove(block)
        return block.hold if block.cancellation.end(error) else None


class Running(Generic[R]):
    """What `Election.running` gives: a block with a candidate at work beside it."""

    def __init__(self, run: Callable[[], Coroutine[Any, Any, R]], name: str) -> None:
        self._run = run
        self._name = name
        self._task: asyncio.Task[R] | None = None
        self._cancellation: Cancellation | None = None

    async def __aenter__(self) -> asyncio.Task[R]:
        if self._task is not None:
            raise RuntimeError("a block of Election.running is entered once")
        self._task = asyncio.create_task(self._run(), name=f"election {self._name}")
        self._cancellation = Cancellation(self._failed)
        return self._task

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, cancellation = self._task, self._cancellation
        assert task is not None
        assert cancellation is not None
        ours = cancellation.end(error)
        task.cancel()
        await asyncio.wait({task})
        failure = None if task.cancelled() else task.exception()
        if failure is None:
            return
        if error is None or ours:
            raise failure
        error.add_note(f"the candidate beside it failed, too: {failure!r}")

    async def _failed(self) -> None:
        """Return when the candidate has failed, and only then."""
        task = self._task
        assert task is not None
        await asyncio.wait({task})
        if task.cancelled() or task.exception() is None:
            await asyncio.Event().wait()
