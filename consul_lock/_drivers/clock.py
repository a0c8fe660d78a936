"""The clock that deadlines are measured with."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

if hasattr(time, "CLOCK_BOOTTIME"):
    # Seconds; counts the time that the machine sleeps, as Consul's servers do.
    clock: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)

else:  # pragma: no cover - Linux has it; macOS's monotonic clock counts sleep in its own way
    clock = time.monotonic
