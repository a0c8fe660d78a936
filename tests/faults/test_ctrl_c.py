"""A real Ctrl-C, at random moments of a real process, leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from random import Random
from threading import Event

import pytest

from consul_lock import Client, Lock
from tests.stage.agent import Agent
from tests.waiting import eventually

ROUNDS = 40


class Process:
    """Runs `tests.faults.interrupted`."""

    def __init__(self, agent: Agent, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.interrupted", agent.address, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.expect("ready")

    def round(self, pause: float) -> None:
        """Let it begin, and press Ctrl-C after so many seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.expect("begun")
        Event().wait(pause)
        self._process.send_signal(signal.SIGINT)
        self.expect("cut")

    def expect(self, word: str) -> None:
        """Its next line is this."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{word}\n"

    def close(self) -> int:
        """End it in order; its exit code."""
        self._process.communicate()
        return self._process.returncode

    def kill(self) -> None:
        """End it in any case."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def process(agent: Agent) -> Iterator[Process]:
    """The process, whose lock is "ctrl-c"."""
    started = Process(agent, "ctrl-c")
    yield started
    started.kill()


def test_ctrl_c_leaves_nothing_behind(agent: Agent, process: Process) -> None:
    """In every other round somebody else holds the lock, so that it is struck while it waits."""
    random = Random("ctrl-c")
    before = {session["ID"] for session in agent.sessions()}
    with Client(agent.address) as client:
        lock = Lock("ctrl-c", client=client)
        for number in range(ROUNDS):
            with lock if number % 2 else nullcontext():
                process.round(random.uniform(0.0, 0.012))
        # It is alive, and would renew what it had left: so this is not the work of a TTL.
        assert lock.acquire(timeout=5)
        lock.release()
        eventually(lambda: agent.living("ctrl-c") == [], 5.0)
        # One that it keeps for reuse, and one of our own.
        eventually(lambda: len({s["ID"] for s in agent.sessions()} - before) <= 2, 5.0)
    assert process.close() == 0
    eventually(lambda: {session["ID"] for session in agent.sessions()} <= before, 5.0)
