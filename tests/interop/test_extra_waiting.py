"""Waiters that are stopped, and which processes have to be dead before Go may start."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from time import monotonic

import pytest

from tests.cli.command import Running, alive
from tests.interop.go_command import PROMPTLY, Peer
from tests.interop.holder import ENDED
from tests.interop.process import Holding
from tests.interop.semaphores import Slots
from tests.support.agent import Agent
from tests.support.waiting import eventually

Go = Callable[..., Peer]
Command = Callable[..., Running]


def test_term_ends_a_waiter_of_consul_lock_at_once(agent: Agent, go: Go, command: Command) -> None:
    """A death by that signal; neither its session nor its entry in the queue is left."""
    peer = go("term/lock")
    peer.holds()
    waiter = command("-k", "term/lock", "--", "echo", "started")
    eventually(lambda: agent.keys("term/lock/.queue/"))
    assert agent.sessions_of(waiter.pid)
    sent = monotonic()
    waiter.send(signal.SIGTERM)
    assert waiter.wait() == -signal.SIGTERM
    assert monotonic() - sent < PROMPTLY
    assert waiter.line() == ""
    assert agent.keys("term/lock/") == ["term/lock/.lock"]
    assert not agent.sessions_of(waiter.pid)
    assert not peer.ended


@pytest.mark.parametrize("face", ["threads", "asyncio"])
def test_term_ends_a_waiter_for_slots_at_once(agent: Agent, go: Go, face: str) -> None:
    """A program that ends as Python does: no contender of it is left, nor a session."""
    slots = Slots(agent, f"term/{face}")
    peers = [go(slots.name, "-n", "2") for _ in range(2)]
    for peer in peers:
        peer.holds()
    state = slots.state
    with Holding(agent, slots.name, 2, 2, face) as waiter:
        eventually(lambda: len(slots.contenders) == 4)
        assert agent.sessions_of(waiter.process.pid)
        sent = monotonic()
        waiter.process.send_signal(signal.SIGTERM)
        assert waiter.process.wait(120) == ENDED
        assert monotonic() - sent < PROMPTLY
    assert slots.state == state
    assert not agent.sessions_of(waiter.process.pid)


def test_term_to_a_waiter_of_go_is_success(agent: Agent, go: Go, command: Command) -> None:
    """It sees the signal when its read ends, never starts its command, and says 0 all the same."""
    holder = command("-k", "term/go", "--", "sh", "-c", "echo mine; exec sleep 600")
    assert holder.line() == "mine"
    peer = go("term/go")
    peer.waits()
    peer.process.send_signal(signal.SIGTERM)
    holder.send(signal.SIGTERM)
    assert peer.wait() == 0, peer.output
    assert not peer.started


def test_go_starts_when_the_whole_command_of_consul_lock_is_dead(
    agent: Agent, go: Go, command: Command
) -> None:
    """A grandchild that ignores TERM still works under the lock when its parent has ended."""
    program = (
        "import os, signal, time\n"
        "ready, go = os.pipe()\n"
        "if os.fork(): os.close(go); os.read(ready, 1); os._exit(3)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True)\n"
        "os.close(go); time.sleep(600)\n"
    )
    holder = command("-k", "tree", "--kill-after", "3s", "--", sys.executable, "-c", program)
    grandchild = int(holder.line())
    peer = go("tree")
    peer.waits()
    assert alive(grandchild)
    peer.holds()
    assert not alive(grandchild)
    assert holder.wait() == 3
