"""Locks with several holders, among contenders, in a world where everything goes wrong.

``HYPOTHESIS_PROFILE=search pytest tests/simulation/test_weighted_and_multilock.py`` looks for new
trouble.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.scenario import Trouble
from tests.simulation.weighted_kinds import KINDS
from tests.simulation.weighted_run import play
from tests.simulation.weighted_scenario import CrowdPlan, crowd, crowds
from tests.support.effort import scaled

_T = Trouble
SEEDS = range(scaled(9))

# What has to happen in these runs, and how often at least: else they would prove nothing.
HAPPENS = {
    "granted": 600,
    "granted several": 48,
    "handed over": 120,
    "let in together": 9,
    "taken from the queue": 120,
    "taken by a newcomer": 600,
    "taken together": 72,
    "passed on inside a client": 1,
    "downgraded": 19,
    "resizes": 19,
    "limit conflicts": 19,
    "pruned": 2,
    "moments of several holders": 1440,
    "moments of several numbers": 720,
    "answered": 72,
    "gave up": 144,
    "cancelled": 9,
    "answer lost": 6,
    "cut after": 4,
    "refused": 2,
    "late": 6,
    "timed out": 28,
    "ghosts carried out": 12,
    "stale reads": 1,
    "lost: deadline": 1,
    "lost: session-invalid": 1,
    "release: LockLost": 2,
    "acquire: Unavailable": 14,
    "trouble: crash": 9,
    "trouble: pause": 9,
    "trouble: freeze": 3,
    "trouble: leaderless": 2,
    "trouble: elect": 3,
    "trouble: leave": 2,
    "trouble: close": 3,
    "trouble: partition": 3,
    "trouble: destroy": 7,
}


def total_of(seeds: range, kinds: tuple[str, ...] = tuple(KINDS), **chosen: object) -> Counter[str]:
    """How often what happened in these runs of each kind."""
    total: Counter[str] = Counter()
    for kind in kinds:
        for seed in seeds:
            try:
                total += play(crowd(kind, seed, **chosen))  # type: ignore[arg-type] # any of its options
            except Exception as error:
                error.add_note(f"in the run of crowd({kind!r}, {seed}, **{chosen})")
                raise
    return total


@pytest.mark.slow
@given(st.sampled_from(sorted(KINDS)).flatmap(crowds))
@settings(max_examples=scaled(15))
def test_they_keep_their_promises(plan: CrowdPlan) -> None:
    """Whatever happens: never too many, all or nothing, everybody served, nothing left behind."""
    play(plan)


@pytest.mark.slow
def test_many_troubles_really_happen_and_none_breaks_a_promise() -> None:
    """Fixed runs, in which every kind of trouble is counted; the counts are printed."""
    total = total_of(SEEDS)
    for what in sorted(total):
        print(f"{total[what]:8} {what}")  # noqa: T201 - shown with -s, and if the test fails
    rare = {what: total[what] for what, least in HAPPENS.items() if total[what] < least}
    assert not rare


@pytest.mark.parametrize("kind", KINDS)
def test_in_good_weather_the_order_is_first_come_first_served(kind: str) -> None:
    """Without faults and timeouts nobody is let in before those who came earlier and do
    not fit in beside it; and each one that is let in notices it at once."""
    total = total_of(range(scaled(8)), (kind,), orderly=True)
    assert total["granted"] > 150
    assert total["handed over"] + total["taken from the queue"] > 33


def test_beside_clients_of_go_everybody_is_served_and_nothing_is_left() -> None:
    """They prune at once, which costs exclusion: a holder that was only cut off may believe."""
    total = total_of(range(scaled(6)), ("semaphore",), only=(_T.FOREIGN, _T.FOREIGN, _T.CRASH))
    assert total["taken by a foreign client"] > 10
    assert total["pruned by a foreign client"] > 0


@pytest.mark.parametrize(
    "only", [(_T.DESTROY,), (_T.GHOST, _T.ANSWER_LOST, _T.CUT_AFTER), (_T.CANCEL, _T.OLD)]
)
def test_much_of_the_same_trouble_breaks_no_promise(only: tuple[Trouble, ...]) -> None:
    """Sessions that are destroyed; writes whose outcome nobody knows; callers that are cut off."""
    total = total_of(range(scaled(4)), only=only)
    assert sum(total[f"trouble: {trouble.value}"] for trouble in only) > 50


@pytest.mark.parametrize("kind", KINDS)
def test_newcomers_at_a_death_that_try_once_are_not_in_before_the_lock_delay(kind: str) -> None:
    """Though writes are applied some time after they were admitted, and lock-delays differ."""
    total = total_of(range(scaled(6)), (kind,), only=(_T.FLEET, _T.CRASH))
    assert total["trouble: fleet"] > 15
    assert total["applied later than admitted"] > 75


def test_waiters_without_patience_leave_nothing_behind() -> None:
    """Nearly every wait ends just when its time is up, and often just when it is let in."""
    total = total_of(range(scaled(4)), hurried=True)
    assert total["gave up"] > 240


@pytest.mark.parametrize("kind", KINDS)
def test_a_hand_that_deletes_keys_costs_exclusion_and_nothing_else(kind: str) -> None:
    """Everybody is served, and nothing is left behind."""
    total = total_of(range(scaled(5)), (kind,), only=(_T.DELETE, _T.PAUSE, _T.CANCEL))
    assert total["trouble: delete"] > 5
