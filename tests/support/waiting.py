"""Wait for a condition: what tests do instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Often enough not to lengthen a test, seldom enough not to load a small machine.
_EVERY = 0.02


def eventually(condition: Callable[[], T], timeout: float = 120.0, *, message: str = "") -> T:
    """Call ``condition`` until it returns something true, and return that.

    An AssertionError inside it counts as "not yet".  After ``timeout`` seconds (generous by
    default: the bound only ends a test that has failed) it raises AssertionError.
    """
    end = time.monotonic() + timeout
    while True:
        value, trouble = _look(condition)
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(_complaint(condition, timeout, message)) from trouble
        time.sleep(_EVERY)


async def eventually_async(
    condition: Callable[[], T], timeout: float = 120.0, *, message: str = ""
) -> T:
    """Do the same on an asyncio loop; ``condition`` is an ordinary function."""
    end = time.monotonic() + timeout
    while True:
        value, trouble = _look(condition)
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(_complaint(condition, timeout, message)) from trouble
        await asyncio.sleep(_EVERY)


def _look(condition: Callable[[], T]) -> tuple[T | None, AssertionError | None]:
    try:
        return condition(), None
    except AssertionError as trouble:
        return None, trouble


def _complaint(condition: Callable[[], T], timeout: float, message: str) -> str:
    what = message or getattr(condition, "__name__", repr(condition))
    return f"not within {timeout:g} s: {what}"
