"""How much of the same a test does: ``TEST_EFFORT`` multiplies examples, seeds, rounds and seconds.

It is 1 in `make test`, less in `make fast` and more in `make test-long`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

EFFORT = float(os.environ.get("TEST_EFFORT") or "1")


def scaled(number: int) -> int:
    """So many times the effort, and once at least."""
    return max(1, round(number * EFFORT))


def some(items: Iterable[T], one_of: int, about: object) -> list[T]:
    """One of so many, and one at least; with more effort more, up to all.

    Each run of the tests takes other ones: its SIMULATION_SEED, which stands in the first lines of
    its output, repeats them.  ``about``: lists that are not the same get different parts.
    """
    whole = list(items)
    step = max(1, min(round(one_of / EFFORT), len(whole)))
    chance = random.Random(f"{os.environ.get('SIMULATION_SEED', '')} {about}")
    return whole[chance.randrange(step) :: step]


def chosen(total: int, count: int) -> list[int]:
    """Points 1 to ``total``, or ``count`` of them, evenly: each run of the tests has others, which
    its SIMULATION_SEED repeats."""
    if total <= count:
        return list(range(1, total + 1))
    step = total / count
    start = random.Random(f"{os.environ['SIMULATION_SEED']} {total}").random() * step
    return sorted({1 + int(start + number * step) % total for number in range(count)})
