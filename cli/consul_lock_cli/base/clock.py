"""The clock that everything here goes by, as the library does.

It is not imported from there: the guardian's second half runs without the library in its path.
"""

from __future__ import annotations

import time


def now() -> float:
    """Seconds of a clock that counts the time a machine sleeps, as leases do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
