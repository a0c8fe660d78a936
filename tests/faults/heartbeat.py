"""A command that does not want to end: writes the time into a file until it is killed.

The clock is the one of the library's deadlines.  It ends by itself after a minute, in case a
test goes wrong.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import sys
import time

# Seconds between two beats, and for all of it.
_BEAT, _LONGEST = 0.01, 60.0


def main(path: str) -> None:
    """Beat."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    begin = now = time.clock_gettime(time.CLOCK_BOOTTIME)
    while now < begin + _LONGEST:
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        os.pwrite(file, struct.pack("d", now), 0)
        select.select([], [], [], _BEAT)


if __name__ == "__main__":
    main(sys.argv[1])
