"""A program: `consul-lock` on a host whose clock is stepped when a file says so.

`python stepped.py FILE ARGUMENTS...`: Python's calendar clock is wrong by the seconds in FILE.
There is no need for a library to be preloaded, so it runs anywhere.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

_RIGHT = {name: getattr(time, name) for name in ("time", "time_ns", "clock_gettime")}


def main(file: str, *arguments: str) -> None:
    """Step the clock for everything that is imported from now on."""

    def wrong() -> float:
        try:
            return float(Path(file).read_text() or 0)
        except OSError:
            return 0.0

    def of_clock(clock: int) -> float:
        real = clock == time.CLOCK_REALTIME
        return float(_RIGHT["clock_gettime"](clock)) + (wrong() if real else 0.0)

    time.time = lambda: _RIGHT["time"]() + wrong()
    time.time_ns = lambda: _RIGHT["time_ns"]() + int(wrong() * 1e9)
    time.clock_gettime = of_clock
    from consul_lock_cli.main import main as run

    run(list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
