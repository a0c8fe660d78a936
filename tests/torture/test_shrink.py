"""A plan that fails is made smaller, as long as it fails."""

from __future__ import annotations

from tests.torture.plan import Plan, make_plan
from tests.torture.shrink import shrink

_WHOLE = make_plan(5, 400, groups=7)


def _needs_two(plan: Plan) -> bool:
    """Fails if two certain faults and one certain worker are in it."""
    needed = {_WHOLE.faults[3], _WHOLE.faults[11]}
    return needed <= set(plan.faults) and _WHOLE.works[5] in plan.works


def test_what_is_needed_is_left() -> None:
    """Nothing else is, and the faults keep their times."""
    smaller = shrink(_WHOLE, _needs_two, 200)
    assert smaller.faults == (_WHOLE.faults[3], _WHOLE.faults[11])
    assert smaller.works == (_WHOLE.works[5],)
    assert (smaller.seed, smaller.seconds) == (_WHOLE.seed, _WHOLE.seconds)


def test_no_more_runs_than_were_allowed() -> None:
    """What was found by then is the result, and it is one that fails."""
    runs: list[Plan] = []

    def fails(plan: Plan) -> bool:
        runs.append(plan)
        return _WHOLE.faults[0] in plan.faults

    smaller = shrink(_WHOLE, fails, 3)
    assert len(runs) == 3
    assert _WHOLE.faults[0] in smaller.faults
    assert len(smaller.faults) < len(_WHOLE.faults)


def test_a_failure_that_does_not_come_again_leaves_the_plan_as_it_is() -> None:
    """It needed luck."""
    assert shrink(_WHOLE, lambda plan: False, 50) == _WHOLE
