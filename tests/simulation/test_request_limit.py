"""Servers that limit the rate of requests: nobody loses a lock, and a hammered one still moves."""

from __future__ import annotations

import pytest

from tests.simulation.limited_run import LimitedRun, Outcome
from tests.simulation.limited_world import Bucket
from tests.simulation.mutation import Mutant, applied

HOLDERS, HAMMERING, SECONDS = 20, 4, 120.0

SEEDS = range(2)

# Of the hammered lock, in two minutes: 14 to 25 were seen in 80 runs.
GRANTS_MIN = 6

# Writes that are asked for in vain: 250 to 310 were seen, and 2,000 to 3,200 before.
REFUSED_MAX = 400

MUTANTS = (
    Mutant(
        "renewals that were refused are tried again at once",
        "client.keeper:Keeper._pause_after",
        "if is_limit(error):",
        "if False:",
    ),
    Mutant(
        "renewals come as often under a limit as without one",
        "consul.request_limit:RequestLimit.stretch",
        "return 1.0 + ",
        "return 1.0 + 0 * ",
    ),
    Mutant(
        "a refusal with 503 is taken for an outage, and its session is in doubt",
        "consul.replies:_failed",
        "if status == 429 or _LIMITED in text:",
        "if status == 429:",
    ),
    Mutant(
        "calls begin as usual while requests are refused, and try again soon",
        "consul.request_limit:RequestLimit.distance",
        "if level else 0.0",
        "if False else 0.0",
    ),
)


def play(seed: int, *, holders: int = HOLDERS, hammering: int = HAMMERING) -> Outcome:
    return LimitedRun(seed, reads=5.0, writes=3.0).play(holders, hammering, SECONDS)


def goes_well(outcome: Outcome) -> bool:
    """What is promised of such a run."""
    kept = outcome.holding == HOLDERS and not outcome.losses
    return kept and outcome.grants >= GRANTS_MIN and outcome.writes[1] <= REFUSED_MAX


@pytest.mark.parametrize("seed", SEEDS)
def test_no_holder_is_lost_and_the_hammered_lock_moves(seed: int) -> None:
    """20 holders and four clients that hammer one lock, each a process of its own, under 5 reads
    and 3 writes a second for two minutes."""
    outcome = play(seed)
    assert goes_well(outcome), outcome
    assert outcome.writes[1] > 100, "nothing was refused, so nothing was shown"


def test_without_a_limit_nothing_is_asked_less() -> None:
    """Each holder renews three times in a TTL, and the lock is granted all the time."""
    outcome = LimitedRun(1, reads=1e6, writes=1e6).play(HOLDERS, 0, SECONDS)
    # Each acquire is three writes; the sessions are 10 s old on average when all are there.
    renewals = outcome.writes[0] - 3 * HOLDERS
    assert renewals == pytest.approx(HOLDERS * (SECONDS + 10.0) / (10.0 / 3), rel=0.05)
    assert outcome.writes[1] == outcome.reads[1] == 0


def test_a_limit_that_is_far_too_low_is_named_as_the_cause_of_losses() -> None:
    """No client can keep 20 sessions alive with half of a renewal a second."""
    outcome = LimitedRun(2, reads=50.0, writes=1.0).play(HOLDERS, 0, SECONDS)
    assert 0 < outcome.holding < HOLDERS
    assert set(outcome.losses) == {"request-limit"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.story)
def test_a_wrong_version_is_found_out(mutant: Mutant) -> None:
    """By a run that the right version passes above."""
    with applied(mutant):
        assert not goes_well(play(SEEDS[0]))


def test_a_bucket_holds_ten_seconds_of_tokens() -> None:
    """As that of a server does."""
    bucket = Bucket(3.0)
    assert [bucket.take(0.0) for _ in range(31)] == [True] * 30 + [False]
    assert [bucket.take(0.4) for _ in range(2)] == [True, False]
    assert [bucket.take(1000.0) for _ in range(31)] == [True] * 30 + [False]
