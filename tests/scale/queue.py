"""Callers that want one lock: each holds it once, and how many wait."""

from __future__ import annotations

from typing import Any

from tests.support.agent import Agent
from tests.support.callers import reached
from tests.support.event_log import EventLog

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 300.0


async def hold_once(lock: Any, who: str, events: EventLog) -> None:
    """Wait for the lock, hold it for a moment, and write down when."""
    assert await reached(lock.acquire(timeout=PATIENCE))
    with events.under(lock.name, who, lock.token):
        # Time for others to come in wrongly, and Consul's own word on who is inside.
        holder = await reached(lock.holder())
        assert (holder.session, holder.token) == (lock.session_id, lock.token)
    await reached(lock.release())


def queue_length(agent: Agent, name: str) -> int:
    """How many entries there are in the queues of the locks below this name."""
    return sum("/.queue/" in key for key in agent.keys(name))
