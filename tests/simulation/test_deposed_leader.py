"""A deposed leader answers renewals with 200: nobody believes to hold a lock because of that."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.lock_run import Run, play
from tests.simulation.network_message import Fate
from tests.simulation.scenario import HOLDER, Client, Fault, Plan, Trouble, from_seed
from tests.simulation.simulator import Violation
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


def _without_lock_delay(expiry: float, renewals: int) -> Counter[str]:
    """So many renewals in a row have no effect, while the new leader answers the verifications;
    then the holder reaches nobody any more."""
    client = Client(lock_delay=0.0, holds=120.0)
    run = Run(Plan(1, (client, client), faults=(Fault(0, Trouble.OLD, HOLDER),), rounds=1))
    run.world.expiry_factor = expiry
    run.until(4.0)
    (session,) = run.referee.holding()
    holder = run.contenders[run.referee.owner(session) or 0]
    holder.fates.extend([Fate.OLD] * renewals)
    run.go(10**9, lambda: not holder.fates)
    run.until(run.simulator.now + 1.0)
    assert run.counts["stale reads"] == renewals
    holder.cut_off_until = float("inf")
    run.until(60.0)
    return run.counts


@pytest.mark.parametrize("renewals", [1, 2, 3])
def test_without_a_lock_delay_the_second_ttl_covers_renewals_without_effect(renewals: int) -> None:
    """A verification shows that the session is alive, and not that its TTL began anew: what it is
    taken for is less than what Consul gives."""
    counts = _without_lock_delay(2.0, renewals)
    assert (counts["lost: deadline"], counts["granted"]) == (1, 2)


def test_a_consul_that_kept_sessions_for_their_ttl_alone_would_not_cover_them() -> None:
    """As docs/guarantees.md says."""
    with pytest.raises(Violation, match="more than one believe"):
        _without_lock_delay(1.0, 1)


@pytest.mark.parametrize("seed", range(0, scaled(50), 25))
def test_a_deposed_leader_breaks_no_promise(seed: int) -> None:
    """It answers one client after the other, beside everything else that goes wrong."""
    total: Counter[str] = Counter()
    for each in range(seed, seed + 25):
        total += play(from_seed(each, more=(Trouble.DEPOSED,)))
    assert total["answered by the deposed"] > 10
