"""A real Ctrl-C, at random moments of a real process, leaves nothing behind.

Two of them within a millisecond, too: the second strikes while what the first has cut off is
about to be cleaned up.  ``python -m tests.faults.test_ctrl_c ADDRESS 500`` plays so many bursts.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from random import Random
from tempfile import TemporaryFile
from time import monotonic

import pytest

from consul_lock import Client, Lock
from tests.support.agent import Agent
from tests.support.effort import scaled
from tests.support.waiting import eventually

ROUNDS = scaled(40)

BURSTS = scaled(80)
"""Double ones, in one process."""

SCRIPTS = scaled(30)
"""Processes that end after a double burst."""


class Process:
    """Runs `tests.faults.interrupted`."""

    def __init__(self, address: str, name: str, how: str) -> None:
        self._errors = TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.interrupted", address, name, how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.expect("ready")

    @property
    def pid(self) -> int:
        return self._process.pid

    def round(self, pause: float, *between: float) -> None:
        """Let it begin, and press Ctrl-C after so many seconds; again after so many more."""
        self.strike(pause, *between)
        self.expect("cut")

    def strike(self, *pauses: float) -> None:
        """Let it begin, and press Ctrl-C after each of these pauses."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.expect("begun")
        for pause in pauses:
            # Too short for a timer: two signals that come at once are one.
            end = monotonic() + pause
            while monotonic() < end:
                pass
            self._process.send_signal(signal.SIGINT)

    def expect(self, word: str) -> None:
        """Its next line is this."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != f"{word}\n":
            self._errors.seek(0)
            raise AssertionError(f"it did not say {word!r}: {self._errors.read()[-3000:]}")

    def close(self) -> int:
        """End it in order; its exit code."""
        self._process.communicate()
        return self._process.returncode

    def kill(self) -> None:
        """End it in any case."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


@pytest.fixture
def process(agent: Agent, request: pytest.FixtureRequest) -> Iterator[Process]:
    """The process, whose lock is "ctrl-c"."""
    started = Process(agent.address, "ctrl-c", getattr(request, "param", "1"))
    yield started
    started.kill()


def test_ctrl_c_leaves_nothing_behind(agent: Agent, process: Process) -> None:
    """In every other round somebody else holds the lock, so that it is struck while it waits."""
    random = Random("ctrl-c")
    with Client(agent.address) as client:
        lock = Lock("ctrl-c", client=client)
        for number in range(ROUNDS):
            with lock if number % 2 else nullcontext():
                process.round(random.uniform(0.0, 0.012))
        # It is alive, and would renew what it had left: so this is not the work of a TTL.
        assert lock.acquire(timeout=5)
        lock.release()
        see_nothing_left(agent, process)
    assert process.close() == 0
    eventually(lambda: agent.sessions_of(process.pid) == set(), 9.0)


def see_nothing_left(agent: Agent, process: Process) -> None:
    """No key, and no session but the one that the process keeps for reuse; long before a TTL."""
    eventually(lambda: agent.living("ctrl-c/") == [], 9.0)
    eventually(lambda: len(agent.sessions_of(process.pid)) <= 1, 9.0)


def bursts(lock: Lock, process: Process, count: int, random: Random) -> None:
    """Double ones; after each, another client has the lock at once, and so has the process."""
    for number in range(count):
        with lock if number % 4 == 3 else nullcontext():
            process.round(random.uniform(0.0, 0.012), random.uniform(0.00005, 0.001))
        # Less than the lock-delay of an acquire that was left to itself.
        assert lock.acquire(timeout=8), f"after burst {number} the lock is not free"
        lock.release()


@pytest.mark.slow
@pytest.mark.parametrize("process", ["2"], indirect=True)
def test_two_interrupts_at_once_leave_nothing_behind(agent: Agent, process: Process) -> None:
    """The second strikes in the middle of starting the clean-up: that is not forgotten."""
    with Client(agent.address) as client:
        bursts(Lock("ctrl-c", client=client), process, BURSTS, Random("bursts"))
        see_nothing_left(agent, process)
    assert process.close() == 0
    eventually(lambda: agent.sessions_of(process.pid) == set(), 9.0)


def after_scripts(address: str, count: int, random: Random) -> Counter[str]:
    """The leftovers of scripts that end, each struck twice within a millisecond."""
    found: Counter[str] = Counter()
    with Client(address) as client:
        for number in range(count):
            name = f"ctrl-c-end/{number}"
            started = Process(address, name, "end")
            try:
                started.strike(random.uniform(0.0, 0.012), random.uniform(0.00005, 0.001))
                started.close()
            finally:
                started.kill()
            lock = Lock(name, client=client)
            if lock.acquire(blocking=False):
                found["free"] += 1
                lock.release()
            else:
                found["held" if lock.holder() else "lock-delay"] += 1
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("busy_servers_answer")
def test_a_script_that_ends_by_two_interrupts_leaves_no_lock_delay(agent: Agent) -> None:
    """The first ends the program, and the second strikes in its last steps."""
    assert after_scripts(agent.address, SCRIPTS, Random("scripts")) == {"free": SCRIPTS}


def main(address: str, count: str) -> None:
    """Play so many bursts, and so many ends of scripts."""
    random = Random()
    started = Process(address, "ctrl-c", "2")
    try:
        with Client(address) as client:
            bursts(Lock("ctrl-c", client=client), started, int(count), random)
        assert started.close() == 0
    finally:
        started.kill()
    found = after_scripts(address, int(count) // 5, random)
    sys.stdout.write(f"{count} bursts: nothing left; ends of scripts: {dict(found)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
