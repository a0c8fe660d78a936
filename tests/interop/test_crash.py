"""A crash of consul-lock frees lock and slots for both sides, in the time that is promised."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any

import pytest

from tests.interop.go_command import Peer
from tests.interop.holder import LOCK_DELAY, TTL
from tests.interop.process import Holding
from tests.interop.semaphores import Slots, semaphore
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

Go = Callable[..., Peer]
Acquiring = Callable[[Any], "Future[float]"]

# Go sleeps so long when it finds the lock in its lock-delay, whatever that is.
GO_RETRY = 5.0

# Seconds that everything may come later on a machine that is busy.
LATE = 30.0


def test_a_killed_holder_frees_the_lock_for_go(agent: Agent, go: Go) -> None:
    """Not before the TTL, and at the latest after twice that, the lock-delay and Go's own pause."""
    with Holding(agent, "crash") as holding:
        session = holding.session()
        assert any(found["ID"] == session for found in agent.sessions())
        peer = go("crash")
        peer.waits()
        holding.kill()
    killed = monotonic()
    took = peer.holds() - killed
    assert TTL < took < 2 * TTL + LOCK_DELAY + GO_RETRY + LATE
    assert all(found["ID"] != session for found in agent.sessions())


def test_a_killed_holder_frees_its_slots(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """For Go after twice the TTL: it asks for no lock-delay.  For consul-lock after that, too."""
    for_go, for_us = Slots(agent, f"crash-go-{face.name}"), Slots(agent, f"crash-us-{face.name}")
    with (
        Holding(agent, for_go.name, 2, 2) as one,
        Holding(agent, for_us.name, 2, 2, "asyncio") as other,
    ):
        one.session()
        other.session()
        peer = go(for_go.name, "-n", "2")
        peer.waits_for_a_slot()
        slot = semaphore(face, for_us.name, 2, client)
        had = acquiring(slot)
        eventually(lambda: len(for_us.contenders) == 3)
        one.kill()
        killed = monotonic()
        other.kill()
    took = peer.holds() - killed
    assert TTL < took < 2 * TTL + LATE
    took = had.result(120) - killed
    assert TTL + LOCK_DELAY < took < 2 * TTL + LOCK_DELAY + LATE
    # The other slot stays in the document, dead, until somebody needs it.
    assert slot.session_id in for_us.holders
    assert slot.acquire(timeout=30)
    assert len(for_us.holders) == 2
    slot.release()
    slot.release()
    assert for_us.contenders == set()
