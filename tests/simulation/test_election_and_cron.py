"""Elections, observers and cron jobs in runs of all kinds: their judges find wrong versions out."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.mutation import Mutant, applied
from tests.simulation.search import played
from tests.simulation.swarm import fresh, run_of
from tests.simulation.weighted_scenario import ACTIVITIES, CrowdPlan

MUTANTS = (
    Mutant(
        "an observer shows the same leader again and again",
        "election.observer:Observer._next",
        "if _mark(leader) != self._shown:",
        "if leader is not None:",
    ),
    Mutant(
        "a candidate says what others say",
        "election.election:ElectionCore.campaign",
        "self._saying(value, attempt.about)",
        'self._saying("somebody", attempt.about)',
    ),
    Mutant(
        "what was proclaimed is not written",
        "election.election:ElectionCore._proclaim",
        "about.value(there.since, hold.token)",
        "self._saying(self.name, about).value(there.since, hold.token)",
    ),
    Mutant(
        "a slot that was run is run again",
        "cron.decision:_of_same",
        "return SlotState.TAKEN",
        "return SlotState.CLAIM",
    ),
)


def plan(seed: int, *kept: str) -> CrowdPlan:
    """One in which only these things are done."""
    return fresh(seed, "mixed")._replace(without=tuple(a for a in ACTIVITIES if a not in kept))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.story)
def test_a_wrong_version_is_found_out_in_a_mixed_run(mutant: Mutant) -> None:
    """By one of the runs, in which the right version does not fail."""
    plans = [plan(seed, "election", "observers", "cron") for seed in range(40)]
    with applied(mutant):
        failing = next((each for each in plans if played(each).failure), None)
    assert failing is not None
    assert not played(failing).failure


def test_a_cron_job_is_run_beside_locks_and_elections_in_bad_weather() -> None:
    """Slots are claimed, taken by others, begun, and recorded by the same clients."""
    total = Counter[str]()
    for seed in range(6):
        total += run_of(plan(seed, "lock", "election", "observers", "cron")).play()
    assert total["starts"] > 10
    assert total["claimed"] > 10
    assert total["cron: taken"] > 10
    assert total["recorded"] > 10
    assert total["leaders observed"] > 20
