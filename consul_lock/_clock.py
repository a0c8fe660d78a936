"""The clock that deadlines are measured with."""

from __future__ import annotations

import time

if hasattr(time, "CLOCK_BOOTTIME"):

    def clock() -> float:
        """Seconds; counts the time that the machine sleeps, as Consul's servers do."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:  # pragma: no cover - Linux has it; macOS's monotonic clock counts sleep in its own way
    clock = time.monotonic
