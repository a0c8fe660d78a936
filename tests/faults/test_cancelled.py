"""Cancelled tasks leave nothing behind, wherever they were cut off."""

from __future__ import annotations

import asyncio
import os
from random import Random

import pytest

from tests.faults.cancelled import cancel
from tests.support.agent import Agent
from tests.support.effort import scaled
from tests.support.waiting import eventually

CANCELLATIONS = scaled(300)


@pytest.mark.slow
def test_cancelled_tasks_leave_nothing_behind(agent: Agent) -> None:
    """The request under way is answered before it is undone: no session is destroyed while it
    gets the lock, and nobody waits for a lock-delay."""
    before = agent.sessions_of(os.getpid())
    assert asyncio.run(cancel(agent.address, CANCELLATIONS, Random("cancelled"), "cancelled")) == 0
    # Long before a TTL.
    eventually(lambda: agent.keys("cancelled") == [], 9.0)
    eventually(lambda: agent.sessions_of(os.getpid()) - before == set(), 9.0)
