"""Fresh plans, other ones in each run of the tests, and the plans that failed once.

The seed of a run stands in the first lines of the output; ``SIMULATION_SEED`` repeats it.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.simulation.scenario import Trouble
from tests.simulation.search import fails, played
from tests.simulation.shrinking import line_of, plan_of, shrunk
from tests.simulation.swarm import SUBJECTS, allowed, fresh, mutated, play, run_of, swarm
from tests.simulation.weighted_kinds import KINDS
from tests.simulation.weighted_scenario import ACTIVITIES
from tests.support.effort import scaled

REGRESSIONS = Path(__file__).with_name("regressions.jsonl")

# Fresh plans of each subject.
PLANS = scaled(5)

# Runs to shrink a plan with, so that a failing test ends soon.
_SHRINKING_RUNS = 100


@pytest.mark.parametrize("subject", SUBJECTS)
def test_fresh_plans_break_no_promise(subject: str) -> None:
    """Of other seeds each time.  A plan that fails is shrunk, to be added to the regressions."""
    first = int(os.environ["SIMULATION_SEED"])
    for seed in range(first, first + PLANS):
        plan = fresh(seed, subject)
        if failure := played(plan).failure:
            small = shrunk(plan, fails, _SHRINKING_RUNS)
            pytest.fail(
                f"fresh({seed}, {subject!r}) fails: {failure}\n"
                f"It is this plan, made smaller; add it to {REGRESSIONS.name}:\n{line_of(small)}"
            )


@pytest.mark.parametrize("line", REGRESSIONS.read_text().splitlines())
def test_a_plan_that_failed_once_does_not_fail_any_more(line: str) -> None:
    """The plans that a search has found, shrunk."""
    play(plan_of(line))


def test_each_plan_turns_about_half_of_the_faults_off_and_all_occur_in_some() -> None:
    """And rates differ: of what is turned on, some happens often and some rarely."""
    troubles = allowed("lock", 30.0)
    seen = Counter[Trouble]()
    for seed in range(100):
        drawn_from = swarm(Random(seed), troubles)
        assert len(drawn_from.rates) == (len(troubles) + 1) // 2
        seen.update(trouble for trouble, _ in drawn_from.rates)
        rates = [rate for _, rate in drawn_from.rates]
        assert max(rates) > 2 * min(rates)
    assert set(seen) == set(troubles)
    assert max(seen.values()) < 90


def test_faults_that_cost_a_promise_are_left_out() -> None:
    """Without a lock-delay the end of a session protects nobody; others prune at once."""
    assert Trouble.DESTROY in allowed("lock", 30.0)
    assert Trouble.DESTROY not in allowed("lock", 0.0)
    assert Trouble.FOREIGN not in allowed("semaphore", 30.0)
    assert all(Trouble.DELETE not in allowed(subject, 30.0) for subject in SUBJECTS)


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    """Else a seed that is printed would be of no use."""
    plans = [fresh(seed) for seed in range(60)]
    assert plans == [fresh(seed) for seed in range(60)]
    assert len({line_of(plan) for plan in plans}) == 60
    assert {plan.kind for plan in plans} == set(SUBJECTS)
    assert all(plan_of(line_of(plan)) == plan for plan in plans)


def test_mutations_differ_a_little_and_keep_the_subject() -> None:
    """One fault more or less, another client, another network: about the same thing."""
    random, plan = Random(1), fresh(1)
    children = [mutated(plan, random) for _ in range(50)]
    assert {child.kind for child in children} == {plan.kind}
    assert sum(child != plan for child in children) > 40
    assert {len(c.plan.faults) - len(plan.plan.faults) for c in children} >= {-1, 0, 1}


def test_all_kinds_of_locks_are_held_in_one_world_and_both_judges_see_them() -> None:
    """By the same clients; and each kind has a history of its own, which is linearizable."""
    total, names = Counter[str](), Counter[str]()
    for seed in range(2):
        run = run_of(fresh(seed, "mixed")._replace(without=()))
        total += run.play()
        for operation in run.simulator.history.operations:
            names.update(operation.weights.keys())
    assert total["histories judged"] == 2 * 6
    assert {"jobs/nightly", "jobs/room", "jobs/page", "jobs", "jobs/x", "jobs/leader"} <= set(names)
    assert total["granted beside another"] > 0
    for what in ("starts", "recorded", "proclaimed", "leaders observed"):
        assert total[what] > 0, what


def test_half_of_what_there_is_to_do_is_turned_off_in_half_of_the_mixed_plans() -> None:
    """So that rare combinations of a few come together more often."""
    plans = [fresh(seed, "mixed") for seed in range(60)]
    off = Counter(each for plan in plans for each in plan.without)
    assert 15 < sum(not plan.without for plan in plans) < 45
    assert set(off) == set(ACTIVITIES)
    for plan in plans:
        assert not set(plan.without) >= {"lock", "election", *KINDS}
        assert plan_of(line_of(plan)) == plan


def test_what_is_turned_off_is_not_done() -> None:
    """Neither by the threads of clients, nor beside them."""
    without = tuple(each for each in ACTIVITIES if each != "election")
    run = run_of(fresh(3, "mixed")._replace(without=without))
    total = run.play()
    granted = {name for each in run.simulator.history.operations for name in each.weights}
    assert "jobs/leader" in granted
    assert not granted & {"jobs/nightly"}
    assert not total["starts"] + total["leaders observed"]
