"""How much of the same a test does: ``TEST_EFFORT`` multiplies examples, seeds, rounds and seconds.

It is 1 in `make test`, less in `make fast` and more in `make test-long`.
"""

from __future__ import annotations

import os

EFFORT = float(os.environ.get("TEST_EFFORT") or "1")


def scaled(number: int) -> int:
    """So many times the effort, and once at least."""
    return max(1, round(number * EFFORT))
