"""The agent is frozen: no answer and no error comes.  The deadline needs neither."""

from __future__ import annotations

import pytest

from consul_lock import LockLost, LossReason, Unavailable
from consul_lock._drivers.clock import clock
from consul_lock.limits import safety_margin
from tests.faults.deadlines import last_deadline
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.waiting import eventually

# Seconds by which a busy machine may be late.
LATE = 8.0

LOCK_DELAY = 5.0


@pytest.mark.parametrize("watch", [False, True])
def test_a_hold_ends_at_its_deadline_without_the_network(
    face: Face, own_agent: Agent, watch: bool
) -> None:
    """`held` turns false and `on_lost` is called at the deadline: not before, and not late."""
    told: list[tuple[LossReason, float]] = []
    client = face.client(own_agent.address)
    lock = face.lock(
        "frozen",
        client,
        lock_delay=LOCK_DELAY,
        watch=watch,
        on_lost=lambda reason: told.append((reason, clock())),
    )
    asked = clock()
    assert lock.acquire()
    own_agent.freeze()
    frozen = clock()
    deadline = last_deadline(lock)
    assert not lock.held
    # The lock-delay less the margin, after the acquire at the earliest, and after the last answer.
    counted = LOCK_DELAY - safety_margin(10, LOCK_DELAY)
    assert asked + counted - 0.1 <= deadline <= frozen + counted
    eventually(lambda: told)
    [(reason, at)] = told
    assert reason is lock.lost_reason is LossReason.DEADLINE
    assert deadline <= at <= deadline + LATE
    assert lock.lost.is_set()
    with pytest.raises(LockLost, match="deadline"):
        lock.ensure_held()
    own_agent.thaw()
    with pytest.raises(LockLost):
        lock.release()
    assert lock.acquire(timeout=30)
    assert lock.held
    lock.release()
    eventually(lambda: own_agent.keys() == [])
    client.close()
    eventually(lambda: own_agent.sessions() == [], 10.0)
    assert len(told) == 1


def test_an_acquire_of_a_frozen_agent_gives_up_in_time(face: Face, own_agent: Agent) -> None:
    """The limit of the caller holds although no request is ever answered."""
    client = face.client(own_agent.address, request_timeout=1.0, retry_for=2.0)
    lock = face.lock("frozen", client)
    own_agent.freeze()
    begin = clock()
    with pytest.raises(ConnectionError, match=r"gave no answer within \d\.\d s"):
        lock.acquire()
    # Far less than without any limit.
    assert clock() - begin < 15.0
    own_agent.thaw()

    def acquired() -> bool:
        try:
            return bool(lock.acquire(timeout=10))
        except Unavailable:
            return False  # within this second a busy machine has not answered

    eventually(acquired)
    client.close()
    eventually(lambda: own_agent.sessions() == [], 10.0)
