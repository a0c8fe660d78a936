"""Waiters that are killed: their sessions live for another twenty seconds, and nobody waits that
long for what they were handed."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from time import monotonic
from typing import Any

import pytest

from tests.cli.command import Running
from tests.cli.inspect_fixture import LOCK_FLAG
from tests.interop.process import Holding
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.waiting import eventually

log = logging.getLogger(__name__)

Acquiring = Callable[[Any], Future[float]]

# Seconds, as promised, for one and for several in a row; and how much later everything may come
# on a machine that is busy.  Without the confirmation of hand-overs it takes 47 to 51.
ONE, SEVERAL, LATE = 5.0, 15.0, 15.0

LOCK_DELAY = 20.0


def in_line(agent: Agent, name: str, count: int) -> None:
    """Wait until so many are in the queue."""
    eventually(lambda: len(agent.keys(f"{name}/.queue/")) == count, 60, message=f"{count} wait")


@pytest.mark.parametrize("killed, within", [(1, ONE), (6, SEVERAL)])
def test_a_waiter_behind_killed_waiters_has_the_lock_in_seconds(
    face: Face, agent: Agent, acquiring: Acquiring, killed: int, within: float
) -> None:
    """The lock is handed to the first of them, who is dead."""
    name = f"killed/{face.name}/{killed}"
    client, other = face.client(agent.address), face.client(agent.address)
    holder = face.lock(name, client, lock_delay=LOCK_DELAY)
    waiter = face.lock(name, other, lock_delay=LOCK_DELAY)
    assert holder.acquire()
    with ExitStack() as stack:
        waiting = []
        for number in range(killed):
            waiting.append(stack.enter_context(Holding(agent, name)))
            in_line(agent, name, number + 1)
        had = acquiring(waiter)
        in_line(agent, name, killed + 1)
        for each in waiting:
            each.kill()
        holder.release()
        released = monotonic()
        took = had.result(120) - released
    log.info("%s: %d killed, had after %.2f s", face.name, killed, took)
    assert took < within + LATE
    waiter.ensure_held()
    waiter.release()
    eventually(lambda: agent.keys(f"{name}/") == [], 60)


def test_a_command_behind_a_killed_waiter_runs_in_seconds(
    agent: Agent, command: Callable[..., Running]
) -> None:
    """It is not the command that is killed, but `consul-lock` while it waits."""
    name = "killed/command"
    holder = command("-k", name, "--", "sh", "-c", "echo held; exec sleep 2000")
    assert holder.line() == "held"
    dead = command("-k", name, "--", "true")
    in_line(agent, name, 1)
    waiter = command("-k", name, "--", "echo", "had")
    in_line(agent, name, 2)
    dead.send(signal.SIGKILL)
    dead.wait()
    holder.send(signal.SIGTERM)
    holder.wait()
    released = monotonic()
    assert waiter.line() == "had"
    took = monotonic() - released
    log.info("a command: had after %.2f s", took)
    assert took < ONE + LATE
    assert waiter.wait() == 0


def test_a_free_lock_goes_to_the_waiter_behind_a_killed_one(
    face: Face, agent: Agent, acquiring: Acquiring
) -> None:
    """It was released, and handed to nobody: the first in the queue, who would take it, is dead."""
    name = f"killed/{face.name}/free"
    client, other = face.client(agent.address), face.client(agent.address)
    holder = face.lock(name, client, lock_delay=LOCK_DELAY)
    waiter = face.lock(name, other, lock_delay=LOCK_DELAY)
    assert holder.acquire()
    with Holding(agent, name) as first:
        in_line(agent, name, 1)
        had = acquiring(waiter)
        in_line(agent, name, 2)
        first.kill()
        release = f"release={holder.session_id}&flags={LOCK_FLAG}"
        freed = agent.request("PUT", f"/v1/kv/{name}/.lock?{release}")
        released = monotonic()
        assert freed.json() is True
        took = had.result(120) - released
    log.info("%s: free with a dead head, had after %.2f s", face.name, took)
    assert took < SEVERAL + LATE
    waiter.ensure_held()
    waiter.release()
    eventually(lambda: agent.keys(f"{name}/") == [], 60)
