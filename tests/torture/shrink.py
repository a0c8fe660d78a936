"""Find out what of a plan is needed for a failure: run it again with parts left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.torture.plan import Fault, Plan, Work

T = TypeVar("T")


def shrink(plan: Plan, fails: Callable[[Plan], bool], runs: int) -> Plan:
    """The smallest plan that was found to fail within so many runs.

    A fault keeps its time, so what is left happens as late as before.  A failure that needs luck
    may not come again in a smaller plan; then a larger one is kept.
    """
    left = runs

    def still(smaller: Plan) -> bool:
        nonlocal left
        if left <= 0:
            return False
        left -= 1
        return fails(smaller)

    def with_faults(faults: Sequence[Fault]) -> Plan:
        return replace(plan, faults=tuple(faults))

    plan = with_faults(_fewest(plan.faults, lambda faults: still(with_faults(faults))))

    def with_works(works: Sequence[Work]) -> Plan:
        return replace(plan, works=tuple(works))

    return with_works(_fewest(plan.works, lambda works: still(with_works(works))))


def _fewest(whole: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Leave out halves, then quarters and so on, as long as it fails without them."""
    size = (len(whole) + 1) // 2
    while size:
        at = 0
        while at < len(whole):
            rest = [*whole[:at], *whole[at + size :]]
            if rest and fails(rest):
                whole = rest
            else:
                at += size
        size //= 2
    return whole
