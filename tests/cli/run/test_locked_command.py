"""A signal that comes between the lock and the command."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from consul_lock import LockLost, LossReason, Unavailable
from consul_lock_cli.base.console import Console
from consul_lock_cli.process.outcome import ProcessResult
from consul_lock_cli.process.signals import WAKE, Signals
from consul_lock_cli.run import locked_command
from consul_lock_cli.run.execution import LEAVING, Execution
from consul_lock_cli.run.locked_command import LockedCommand
from consul_lock_cli.run.result import RunResult
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.run import RunSpec
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
        line, _ = running.said()
    assert line.startswith("consul-lock: LOST k before the command was started: ")
    assert line.endswith(" (76)")


def test_a_signal_lets_a_release_come_to_its_end() -> None:
    """The command's code stands; and nobody has to wait for a lock that was released in part."""
    with Running(["RELEASING", "echo", "started"], environment(), prefix=_PROGRAM) as running:
        assert running.wait() == 0
        seen = list(iter(running.line, ""))
        assert running.said() == []
    assert seen[-3:] == ["RELEASING", "RELEASED", "CLOSED"]


@pytest.mark.parametrize(
    "script",
    ["kill -s TERM $PPID; exec sleep 600", "trap '' TERM; kill -s TERM $PPID; exit 0"],
    ids=["stopped by it", "ends at that moment"],
)
def test_a_term_that_was_passed_on_to_the_command_shortens_the_release(script: str) -> None:
    """Without an answer of Consul it would take as long as the lock counts, 3600 s here: nobody
    sends a second one, as it may have come when the command had just ended."""
    with Running(["STUCK", "sh", "-c", script], environment(), prefix=_PROGRAM) as running:
        running.wait()
        assert list(iter(running.line, ""))[-2:] == ["RELEASING", "CLOSED"]
        (line,) = running.said()
    # At that moment it may also find the release under way, and gives that a second.
    assert line.startswith("consul-lock: warning: not released")


@pytest.mark.parametrize(
    "more, budget",
    [({}, 25.0), ({"asked": True}, LEAVING), ({"typed": True}, LEAVING)],
    ids=["by itself", "TERM", "Ctrl-C"],
)
def test_a_release_may_take_as_long_as_the_lock_counts_unless_a_signal_came(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, bool], budget: float
) -> None:
    """Whenever it came, and whatever it was spent on."""
    budgets = list[float]()
    ended = ProcessResult(0, **{"lost": False, "typed": False, "failure": None, **more})
    monkeypatch.setattr(Execution, "run", lambda self, *_: RunResult(None, ended))
    monkeypatch.setattr(Execution, "finish", lambda self, act, most: budgets.append(most) or True)
    lock = SimpleNamespace(session_id="a", token=1, remaining=lambda: 25.0, release=None)
    never = SimpleNamespace(lost=lambda: False, remaining=lambda: 25.0)
    command: Any = _made(Console(), StatusFile())
    monkeypatch.setattr(command, "_told", lambda *_: {})
    child = SimpleNamespace(hook=nullcontext)
    assert command._under(lock, None, never, child, None).ended is ended
    assert budgets == [budget]


def test_a_lock_that_is_held_without_a_command_is_released_as_after_a_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing else ends `--hold`."""
    budgets = list[float]()
    monkeypatch.setattr(locked_command, "keep", lambda *_: False)
    monkeypatch.setattr(Execution, "finish", lambda self, act, most: budgets.append(most) or True)
    lock = SimpleNamespace(session_id="a", token=1, remaining=lambda: 25.0, release=None)
    never = SimpleNamespace(lost=lambda: False, remaining=lambda: 25.0)
    command: Any = _made(Console(), StatusFile())
    monkeypatch.setattr(command, "_told", lambda *_: {})
    assert command._under(lock, None, never, None, None).code == 0
    assert budgets == [LEAVING]


def _made(console: Console, status_file: StatusFile) -> LockedCommand:
    return LockedCommand(
        RunSpec(LockSpec(("k",))),
        ["make"],
        Connection({"retry_for": 1.0}),
        console,
        Signals(frozenset({WAKE}), frozenset()),
        status_file,
    )


def test_a_loss_that_the_release_finds_has_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As any other: in the log and in the status file, with what the last renewal failed with."""

    class Lost:
        def remaining(self) -> float:
            return 0.0

        def release(self) -> None:
            error = Unavailable("no answer within 3 s", kind="no-answer")
            raise LockLost("'k' was lost", reason=LossReason.DEADLINE, last_error=error)

    lock: Any = Lost()
    monkeypatch.setattr(Execution, "finish", lambda self, act, budget: act())
    console, status = Console(), tmp_path / "status"
    console.json = True
    file = StatusFile(str(status))
    assert _made(console, file)._release(lock, lost=False)
    file.write(76, console)
    loss = {"reason": "deadline", "error": "no answer within 3 s", "error_kind": "no-answer"}
    assert json.loads(status.read_text())["loss"] == loss
    event = json.loads(capsys.readouterr().err)
    assert event["event"] == "lost"
    assert {name: event[name] for name in loss} == loss
