"""Tests of the tests: wrong versions of the flows are found out, the right one is not."""

from __future__ import annotations

import importlib
import inspect

import pytest

from consul_lock._protocol.lock.decision import LockState
from tests.simulation.lock_mutants import MUTANTS
from tests.simulation.lock_run import play
from tests.simulation.mutation import Mutant, applied
from tests.simulation.scenario import Plan, from_seed, hesitant
from tests.unit.protocol.lock.test_decision import found

# Runs among which one has to find out each of the mutants that is left to the simulation.
SEEDS = range(200)

ARGUMENTS = {"place": 2, "seen": found("mine", 5), "certain": False, "verdict": LockState.STALE}


def play_by_hand(test: str) -> None:
    """Call a test of another module."""
    module, _, name = test.partition(":")
    function = getattr(importlib.import_module(f"tests.{module}"), name)
    wanted = inspect.signature(function).parameters
    function(**{name: value for name, value in ARGUMENTS.items() if name in wanted})


def plans_of(seed: int) -> tuple[Plan, ...]:
    """Every trouble, none, and what comes between a hand-over and its confirmation."""
    return from_seed(seed), from_seed(seed, calm=True), hesitant(seed)


PLAYED = [mutant for mutant in MUTANTS if mutant.found_by]
SIMULATED = [mutant for mutant in MUTANTS if not mutant.found_by]


def finds_out(mutant: Mutant) -> Plan | None:
    """The first plan that fails with the wrong version."""
    for seed in (mutant.seed, *SEEDS):
        for plan in plans_of(seed):
            try:
                play(plan)
            except Exception:  # noqa: BLE001 - a wrong flow fails anyhow
                return plan
    return None


@pytest.mark.parametrize("mutant", PLAYED, ids=lambda mutant: mutant.story)
def test_a_wrong_version_is_found_out(mutant: Mutant) -> None:
    """By the test that pins it."""
    with applied(mutant), pytest.raises((Exception, pytest.fail.Exception)):
        play_by_hand(mutant.found_by)


@pytest.mark.parametrize("mutant", SIMULATED, ids=lambda mutant: mutant.story)
def test_a_wrong_version_is_found_out_by_a_run(mutant: Mutant) -> None:
    """By one of the runs, in which the right version does not fail."""
    with applied(mutant):
        plan = finds_out(mutant)
    assert plan is not None
    play(plan)


@pytest.mark.parametrize(
    "test",
    sorted({m.found_by for m in MUTANTS if m.found_by}),
    ids=lambda test: test.rpartition(".")[2],
)
def test_the_right_version_passes_what_finds_the_wrong_ones(test: str) -> None:
    """Else they would prove nothing."""
    play_by_hand(test)


def test_half_of_the_wrong_versions_are_found_by_the_simulation() -> None:
    """It is worth its time."""
    assert len(SIMULATED) >= 10
