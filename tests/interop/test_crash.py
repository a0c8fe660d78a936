"""Our crash frees the lock for `consul lock`, in the time that is promised."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from tests.interop.peer import Peer
from tests.stage.agent import Agent

pytestmark = pytest.mark.slow

TTL, LOCK_DELAY = 10.0, 1.0

# Go sleeps so long when it finds the lock in its lock-delay, whatever that is.
GO_RETRY = 5.0


def test_a_killed_holder_frees_the_lock_for_go(agent: Agent, go: Callable[..., Peer]) -> None:
    """Not before the TTL, and at the latest after twice that, the lock-delay and Go's own pause."""
    holder = subprocess.Popen(
        [sys.executable, "-m", "tests.interop.holder", agent.address, "crash"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert holder.stdout is not None
        session = holder.stdout.readline().strip()
        assert any(found["ID"] == session for found in agent.sessions())
        peer = go("crash")
        peer.waits()
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout is not None:
            holder.stdout.close()
    killed = monotonic()
    took = peer.holds() - killed
    assert TTL < took < 2 * TTL + LOCK_DELAY + GO_RETRY + 2.0
    assert all(found["ID"] != session for found in agent.sessions())
