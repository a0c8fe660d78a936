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
