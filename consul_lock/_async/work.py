"""Work that is cancelled when what it needs is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

R = TypeVar("R")


async def while_held(lost: asyncio.Event, work: Awaitable[R], raise_loss: Callable[[], Any]) -> R:
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
            raise  # somebody else has cancelled it, or us
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
    timeouts around it and inside it, a `TaskGroup`, and whoever calls ``task.cancel()``.  All they
    send is `CancelledError`, so the one at the end of a block does not say whose it is:

        async with asyncio.timeout(5):      cancelling()
            async with lock:                0 -> remembered
                await work()                1: the lock is lost; 2: the timeout strikes, too
            # uncancel() -> 1 > 0: somebody else wants the task to end as well: not ours to turn
            # into LockLost.  The timeout's uncancel() -> 0 <= 0: its own, so TimeoutError.

    So each takes back what it has asked for, and turns the `CancelledError` into its own exception
    only if nothing is left of what was asked for since it began.  The obvious rule, "I have
    cancelled, so the CancelledError is mine", swallows the cancellations of others: a task that was
    told to end would go on.

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
