"""Python's calendar clock is wrong by the seconds in a file; the monotonic clocks are left alone.

A preloaded libfaketime would reach other programs, too, but version 0.9.10 breaks sleeps by the
monotonic clock.
"""

from __future__ import annotations

import time
from pathlib import Path

_RIGHT = {name: getattr(time, name) for name in ("time", "time_ns", "clock_gettime")}


def step(file: Path) -> None:
    """Let the file say what time it is, from now on."""

    def wrong() -> float:
        try:
            return float(file.read_text() or 0)
        except OSError:
            return 0.0

    def of_clock(clock: int) -> float:
        real = clock == time.CLOCK_REALTIME
        return float(_RIGHT["clock_gettime"](clock)) + (wrong() if real else 0.0)

    time.time = lambda: _RIGHT["time"]() + wrong()
    time.time_ns = lambda: _RIGHT["time_ns"]() + int(wrong() * 1e9)
    time.clock_gettime = of_clock
