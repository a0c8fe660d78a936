"""A signal that comes between the lock and the command."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.cli.command import Running, environment

_PROGRAM = (sys.executable, str(Path(__file__).parents[1] / "program_held_lock.py"))


@pytest.mark.parametrize("moment", ["ACQUIRED", "GRANTED"])
def test_a_stop_before_the_command_runs_keeps_it_from_running(moment: str) -> None:
    """The lock is released, and consul-lock dies of the signal."""
    with Running([moment, "echo", "started"], environment(), prefix=_PROGRAM) as running:
        assert running.wait() == -signal.SIGTERM
        seen = list(iter(running.line, ""))
    assert "started" not in seen
    assert seen[0] == "ACQUIRED"
    # Whether the signal struck within the acquire, where nothing is held yet, is chance.
    assert "RELEASED" in seen or "GRANTED" not in seen
    assert seen[-1] == "CLOSED"


def test_a_lock_that_is_lost_before_the_command_starts_keeps_it_from_starting() -> None:
    """A machine may be suspended between the two; somebody else may have the lock."""
    with Running(["LOST", "echo", "started"], environment(), prefix=_PROGRAM) as running:
        assert running.wait() == 76
        assert "started" not in list(iter(running.line, ""))
        (line,) = running.said()
    assert line.startswith("consul-lock: LOST k before the command was started: ")
    assert line.endswith(" (76)")


def test_a_signal_lets_a_release_come_to_its_end() -> None:
    """The command's code stands; and nobody has to wait for a lock that was released in part."""
    with Running(["RELEASING", "echo", "started"], environment(), prefix=_PROGRAM) as running:
        assert running.wait() == 0
        seen = list(iter(running.line, ""))
        assert running.said() == []
    assert seen[-3:] == ["RELEASING", "RELEASED", "CLOSED"]
