"""The lock among contenders, in a world where everything goes wrong.

``HYPOTHESIS_PROFILE=search pytest tests/simulation/test_lock.py`` looks for new trouble.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from tests.simulation.lock_run import play
from tests.simulation.scenario import Plan, Trouble, from_seed, hesitant, plans
from tests.support.effort import scaled

SEEDS = range(scaled(90))

# What has to happen in these runs, and how often at least: else they would prove nothing.
HAPPENS = {
    "granted": 600,
    "handed over": 300,
    "passed on inside a client": 40,
    "taken by a newcomer": 100,
    "taken by the first in the queue": 20,
    "taken by a foreign client": 10,
    "gave up": 100,
    "cancelled": 20,
    "answer lost": 10,
    "cut after": 10,
    "refused": 20,
    "late": 10,
    "timed out": 100,
    "ghosts carried out": 20,
    "stale reads": 6,
    "lost: deadline": 1,
    "lost: session-invalid": 1,
    "lost: revoked": 1,
    "release: LockLost": 6,
    "acquire: Unavailable": 20,
    "trouble: crash": 3,
    "trouble: pause": 20,
    "trouble: freeze": 6,
    "trouble: leaderless": 6,
    "trouble: elect": 6,
    "trouble: leave": 6,
    "trouble: close": 6,
    "trouble: partition": 6,
}


@pytest.mark.slow
@given(plans())
@settings(max_examples=scaled(40))
def test_the_lock_keeps_its_promises(plan: Plan) -> None:
    """Whatever happens: one holder, growing tokens, everybody served, nothing left behind."""
    play(plan)


@pytest.mark.slow
def test_many_troubles_really_happen_and_none_breaks_a_promise() -> None:
    """Fixed runs, in which every kind of trouble is counted; the counts are printed."""
    total: Counter[str] = Counter()
    for seed in SEEDS:
        try:
            total += play(from_seed(seed))
        except Exception as error:
            error.add_note(f"in the run of from_seed({seed})")
            raise
    for what in sorted(total):
        print(f"{total[what]:8} {what}")  # noqa: T201 - shown with -s, and if the test fails
    rare = {what: total[what] for what, least in HAPPENS.items() if total[what] < least}
    assert not rare


@pytest.mark.parametrize("seed", range(0, scaled(60), 10))
def test_in_good_weather_the_order_is_first_come_first_served(seed: int) -> None:
    """Without faults and timeouts, every grant goes to the first in the queue."""
    total: Counter[str] = Counter()
    for each in range(seed, seed + 10):
        total += play(from_seed(each, orderly=True))
    assert total["handed over"] > 10


@pytest.mark.parametrize("seed", range(0, scaled(60), 20))
def test_in_good_weather_a_new_holder_notices_at_once(seed: int) -> None:
    """Also among those who give up and ask again, with the same session and so the same key."""
    total: Counter[str] = Counter()
    for each in range(seed, seed + 20):
        total += play(from_seed(each, calm=True))
    assert total["handed over"] > 10
    assert total["gave up"] > 10


@pytest.mark.slow
def test_an_unconfirmed_hand_over_is_taken_over_and_held_by_one_only() -> None:
    """Pauses, partitions and lost messages between a hand-over and its confirmation."""
    total: Counter[str] = Counter()
    for seed in range(scaled(60)):
        total += play(hesitant(seed))
    assert total["handed over"] > 300
    assert total["confirmed"] > 150
    assert total["taken over"] > 3
    assert total["lost: deadline"] > 0


@pytest.mark.parametrize("seed", range(0, scaled(60), 20))
def test_waiters_behind_dead_ones_are_served_in_seconds(seed: int) -> None:
    """Waiters and holders crash, and nothing else goes wrong."""
    total: Counter[str] = Counter()
    for each in range(seed, seed + 20):
        total += play(from_seed(each, only=(Trouble.CRASH,)))
    assert total["trouble: crash"] > 10
    assert total["handed over"] > 10


def test_a_deleted_key_is_not_released_by_its_holder_and_everybody_is_served() -> None:
    """A key deleted by hand costs exclusion, as Consul imposes no lock-delay; nothing else."""
    total: Counter[str] = Counter()
    for seed in range(scaled(50)):
        total += play(from_seed(seed, more=(Trouble.DELETE,)))
    assert total["lost: key-deleted"] > 0
    assert total["lost: stolen"] > 0
    assert total["trouble: delete"] > 25
