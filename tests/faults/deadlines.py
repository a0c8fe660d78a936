"""Time as the library sees it."""

from __future__ import annotations

from typing import Any

from consul_lock._drivers.clock import clock
from tests.support.waiting import eventually


def last_deadline(lock: Any) -> float:
    """Wait until the lock does not count any more; until when it did (the library's clock)."""
    deadline = 0.0

    def over() -> bool:
        nonlocal deadline
        # In this order it is never too late, however long this thread is not run in between.
        now = clock()
        remaining = lock.remaining()
        if remaining > 0:
            deadline = max(deadline, now + remaining)
        return not remaining

    eventually(over)
    return deadline


def pass_by(seconds: float) -> None:
    """Let this time pass."""
    end = clock() + seconds
    eventually(lambda: clock() >= end)
