"""A failing plan is made small: what is left is what it takes."""

from __future__ import annotations

from tests.simulation.lock_mutants import MUTANTS
from tests.simulation.mutation import applied
from tests.simulation.scenario import Plan, Trouble, from_seed
from tests.simulation.search import fails
from tests.simulation.shrinking import line_of, plan_of, shrunk
from tests.simulation.swarm import fresh
from tests.simulation.weighted_scenario import CrowdPlan

# Two clients, no fault and no delay find this one; the plan that it is found by has 15 faults.
_STORY = "the plain release does not check that nobody has come to wait"


def test_of_a_planted_mistake_the_smallest_plan_is_found() -> None:
    """And the right version passes it."""
    mutant = next(mutant for mutant in MUTANTS if mutant.story == _STORY)
    plan = CrowdPlan("lock", from_seed(0))
    with applied(mutant):
        assert fails(plan)
        small = shrunk(plan, fails)
        assert fails(small)
    assert len(plan.plan.faults) == 15
    assert small.plan.faults == ()
    assert (len(small.plan.clients), small.plan.rounds) == (2, 1)
    assert (small.plan.delays, small.plan.raft) == ((0,), (0.0,))
    assert not fails(small)


def test_of_many_faults_the_two_that_are_needed_are_left() -> None:
    """Whatever else is in the plan, in the order in which they were."""
    needed = {Trouble.CRASH, Trouble.ELECT}

    def has_both(plan: CrowdPlan) -> bool:
        return needed <= {fault.trouble for fault in plan.plan.faults}

    plans = (fresh(seed, "lock") for seed in range(2000))
    plan = next(plan for plan in plans if has_both(plan) and len(plan.plan.faults) > 8)
    small = shrunk(plan, has_both)
    assert len(small.plan.faults) == 2
    assert {fault.trouble for fault in small.plan.faults} == needed
    assert {fault.gap for fault in small.plan.faults} == {0}


def test_it_ends_after_so_many_runs() -> None:
    """A plan that fails always could be made smaller for a long time."""
    runs = 0

    def always(plan: CrowdPlan) -> bool:
        nonlocal runs
        runs += 1
        return True

    shrunk(fresh(3), always, 7)
    assert runs == 7


def test_a_line_says_the_whole_plan_and_may_say_why() -> None:
    """It can be pasted as it is."""
    plan = CrowdPlan("lock", Plan(1, from_seed(3).clients, faults=from_seed(0).faults), 3)
    assert plan_of(line_of(plan)) == plan
    assert plan_of('{"why": "because", ' + line_of(plan)[1:]) == plan
