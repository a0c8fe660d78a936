"""Tests of the tests: wrong versions of the flows are found out by the simulation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.mutation import applied
from tests.simulation.scenario import Trouble
from tests.simulation.test_lock_mutants import play_by_hand
from tests.simulation.weighted_mutants import MUTANTS, CrowdMutant
from tests.simulation.weighted_run import play
from tests.simulation.weighted_scenario import CrowdPlan, crowd

# Runs among which one has to find out each of the mutants that is left to the simulation.  Those
# that need a rare crossing of two changes are played by hand: more runs would find them by luck.
SEEDS = range(40)

_T = Trouble
WEATHER: dict[str, dict[str, Any]] = {
    "good": {"orderly": True},
    "bad": {},
    "hands": {"only": (_T.DELETE,)},
    "stale reads": {"only": (_T.OLD, _T.CANCEL)},
    "fleets": {"only": (_T.FLEET,)},
    "ghosts": {"only": (_T.GHOST,)},
    "dead": {"only": (_T.CRASH, _T.PAUSE, _T.PARTITION)},
    "destroyed": {"only": (_T.CRASH, _T.DESTROY)},
}

PLAYED = [wrong for wrong in MUTANTS if wrong.mutant.found_by]
SIMULATED = [wrong for wrong in MUTANTS if not wrong.mutant.found_by]


def finds_out(wrong: CrowdMutant) -> CrowdPlan | None:
    """The first plan that fails with the wrong version."""
    for seed in (wrong.mutant.seed, *SEEDS):
        plan = crowd(wrong.kind, seed, **WEATHER[wrong.weather])
        try:
            play(plan)
        except Exception:  # noqa: BLE001 - a wrong flow fails anyhow
            return plan
    return None


@pytest.mark.parametrize("wrong", PLAYED, ids=lambda wrong: wrong.mutant.story)
def test_a_wrong_version_is_found_out_by_hand(wrong: CrowdMutant) -> None:
    """By the test that pins it, which the right version passes."""
    play_by_hand(wrong.mutant.found_by)
    with applied(wrong.mutant), pytest.raises((Exception, pytest.fail.Exception)):
        play_by_hand(wrong.mutant.found_by)


@pytest.mark.parametrize("wrong", SIMULATED, ids=lambda wrong: wrong.mutant.story)
def test_a_wrong_version_is_found_out_by_a_run(wrong: CrowdMutant) -> None:
    """By one of the runs, in which the right version does not fail."""
    with applied(wrong.mutant):
        plan = finds_out(wrong)
    assert plan is not None
    play(plan)


def test_there_are_enough_of_each_kind() -> None:
    """A kind without wrong versions would be a kind whose runs prove nothing."""
    assert {wrong.kind for wrong in SIMULATED} == {"semaphore", "read/write", "tree", "multi"}
    assert len(SIMULATED) >= 15
