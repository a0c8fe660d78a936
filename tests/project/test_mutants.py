"""Each mutant still fits the code that it changes, and names a test that there is."""

from __future__ import annotations

import importlib

import pytest

from tests.simulation import (
    lock_mutants,
    test_cron,
    test_election_and_cron,
    test_request_limit,
    weighted_mutants,
)
from tests.simulation.mutation import Mutant, applied

_MUTANTS = [
    *lock_mutants.MUTANTS,
    *(each.mutant for each in weighted_mutants.MUTANTS),
    *test_cron.MUTANTS,
    *test_election_and_cron.MUTANTS,
    *test_request_limit.MUTANTS,
]


@pytest.mark.parametrize("mutant", _MUTANTS, ids=lambda mutant: mutant.story)
def test_a_mutant_fits_the_code_and_its_test_exists(mutant: Mutant) -> None:
    """Whether its test fails with it, tests/simulation shows, which takes minutes."""
    with applied(mutant):
        pass
    if mutant.found_by:
        module, _, name = mutant.found_by.partition(":")
        assert callable(getattr(importlib.import_module(f"tests.{module}"), name))
