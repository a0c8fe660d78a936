"""Cancelled tasks leave nothing behind, wherever they were cut off."""

from __future__ import annotations

import asyncio
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
    before = {session["ID"] for session in agent.sessions()}
    assert asyncio.run(cancel(agent.address, CANCELLATIONS, Random("cancelled"), "cancelled")) == 0
    eventually(lambda: agent.keys("cancelled") == [], 5.0)
    eventually(lambda: {session["ID"] for session in agent.sessions()} <= before, 5.0)
