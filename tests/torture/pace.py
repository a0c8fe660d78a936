"""The pace of workers, which sleep for most of their time: that is their work, and waits for
nothing."""

from __future__ import annotations

import asyncio
import time


def rest(seconds: float) -> None:
    """A thread does nothing for so long."""
    time.sleep(seconds)


async def rest_async(seconds: float) -> None:
    """A task does nothing for so long."""
    await asyncio.sleep(seconds)
