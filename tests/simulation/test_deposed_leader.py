"""A deposed leader answers renewals with 200: nobody believes to hold a lock because of that."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.lock_run import Run, play
from tests.simulation.scenario import HOLDER, Client, Fault, Plan, Trouble, from_seed
from tests.support.effort import scaled


def test_a_holder_whose_renewals_a_deposed_leader_answers_stops_in_time() -> None:
    """The new leader ends its session, and another client gets the lock after the lock-delay."""
    for lock_delay in (5.0, 30.0):
        client = Client(lock_delay=lock_delay, holds=120.0)
        # The faults say that losses are to be expected; they come by hand.
        run = Run(Plan(1, (client, client), faults=(Fault(0, Trouble.DEPOSED, HOLDER),), rounds=1))
        run.until(5.0)
        (session,) = run.referee.holding()
        holder = run.contenders[run.referee.owner(session) or 0]
        run._deposed(holder, 110.0)
        run._destroy(run._victim(HOLDER), 0.0)
        # The referee looks after every event: two who believe to hold would be a violation.
        run.until(5.0 + lock_delay + 15.0)
        assert run.counts["answered by the deposed"] > 1
        assert run.counts["lost: deadline"] == 1
        assert run.counts["granted"] == 2
        (now_held_by,) = run.referee.holding()
        assert now_held_by != session


@pytest.mark.parametrize("seed", range(0, scaled(50), 25))
def test_a_deposed_leader_breaks_no_promise(seed: int) -> None:
    """It answers one client after the other, beside everything else that goes wrong."""
    total: Counter[str] = Counter()
    for each in range(seed, seed + 25):
        total += play(from_seed(each, more=(Trouble.DEPOSED,)))
    assert total["answered by the deposed"] > 10
