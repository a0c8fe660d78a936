"""The messages about a command that runs under a lock."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from consul_lock_cli.base.console import Console
from consul_lock_cli.process.descendants import Process
from consul_lock_cli.process.termination import Survivor
from consul_lock_cli.run.loss import Cause
from consul_lock_cli.run.progress import Progress
from consul_lock_cli.spec.process import WARN, OnLost, ProcessPolicy


class _Clock:
    time = 100.0


class _Loss:
    """Asks for a cause, for so long."""

    asked = 0.0

    def cause(self, seconds: float) -> Cause:
        self.asked = seconds
        return Cause("somebody deleted its key", {"reason": "key deleted"}, "do this")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """Time passes when a test says so."""
    made = _Clock()
    monkeypatch.setattr("consul_lock_cli.run.progress.now", lambda: made.time)
    return made


def _progress(console: Console | None = None, loss: _Loss | None = None, **policy: Any) -> Progress:
    made_up: Any = loss
    return Progress(console or Console(), "deploy", "make", 42, ProcessPolicy(**policy), made_up)


@pytest.mark.parametrize(
    "policy, grace, then",
    [
        ({}, 5.0, "sent TERM to group 42; KILL in 5s (76)"),
        ({}, 0.0, "sent KILL to group 42 (76)"),
        (
            {"foreground": True, "stop_signal": signal.SIGINT},
            1.0,
            "sent INT to process 42; KILL in 1s (76)",
        ),
        ({"on_lost": WARN}, 5.0, "the command goes on"),
        ({"on_lost": OnLost(False, signal.SIGHUP)}, 5.0, "sent HUP, and the command goes on"),
    ],
)
def test_a_loss_says_after_what_time_why_and_what_was_done(
    capsys: pytest.CaptureFixture[str],
    clock: _Clock,
    policy: dict[str, Any],
    grace: float,
    then: str,
) -> None:
    """In one line, with advice; the exit code is there only if it will be that."""
    loss = _Loss()
    progress = _progress(None, loss, **policy)
    clock.time += 192.0
    progress.lost(grace)
    line = (
        f"consul-lock: LOST deploy after 3m12s: somebody deleted its key; {then}\nhint: do this\n"
    )
    assert capsys.readouterr().err == line
    # To ask Consul must not take the time in which the command has to be killed.
    assert loss.asked == grace / 2


def test_overtime_names_the_option(capsys: pytest.CaptureFixture[str], clock: _Clock) -> None:
    """And what happens now."""
    _progress(max_runtime=90.0).overtime(5.0)
    assert capsys.readouterr().err == (
        "consul-lock: make ran for 1m30s, which is its --max-runtime;"
        " sent TERM to group 42; KILL in 5s (124)\n"
    )


@pytest.mark.parametrize(
    "code, text",
    [(0, "exited 0"), (7, "exited 7"), (-15, "died of TERM"), (-40, "died of signal 40")],
)
def test_the_end_is_reported_if_asked_for(
    capsys: pytest.CaptureFixture[str], clock: _Clock, code: int, text: str
) -> None:
    """With -v, and after how long."""
    for verbosity in (0, 1):
        console = Console()
        console.verbosity = verbosity
        progress = _progress(console)
        clock.time += 2.5
        progress.killed()
        progress.exited(code)
        said = f"consul-lock: sent KILL to 42\nconsul-lock: command {text} after 2.5s\n"
        assert capsys.readouterr().err == (said if verbosity else "")


def test_a_log_has_an_event_for_each(capsys: pytest.CaptureFixture[str], clock: _Clock) -> None:
    """The start, too, which people see for themselves."""
    console = Console()
    console.verbosity, console.json = 1, True
    progress = _progress(console, _Loss())
    clock.time += 2.5
    progress.lost(1.0)
    progress.exited(-9)
    started, lost, exited = map(json.loads, capsys.readouterr().err.splitlines())
    assert (started["event"], started["pid"]) == ("started", 42)
    assert (lost["event"], lost["level"], lost["reason"]) == ("lost", "error", "key deleted")
    assert (exited["event"], exited["after_s"], exited["code"]) == ("exited", 2.5, -9)


class _Named(Process):
    """With what /proc would say of it."""

    def command_line(self) -> str:
        return f"sleep {self.pid}"

    def user(self) -> str:
        return "root"


def test_what_goes_on_is_named_in_one_warning(
    capsys: pytest.CaptureFixture[str], clock: _Clock
) -> None:
    """With the options that would change it; not more of them than one can read."""
    progress = _progress()
    progress.left([_Named(7, "S")])
    progress.left([_Named(pid, "S") for pid in range(1, 9)])
    one, many = capsys.readouterr().err.splitlines()
    assert one == (
        "consul-lock: warning: make has left pid 7 (sleep 7) in a session of its own: it goes on"
        " without the lock (--daemons keep: without this warning; --daemons stop: stopped)"
    )
    assert "pid 5 (sleep 5), 3 more in a session of its own: they go on" in many


@pytest.mark.parametrize(
    "survivor, text",
    [
        (
            (_Named(7, "S"), False),
            "pid 7 (sleep 7, root): not permitted; run consul-lock itself with sudo",
        ),
        ((_Named(7, ""), False), "pid 7 (root): not permitted; run"),
        ((_Named(7, "D"), True), "pid 7 (sleep 7): it does not die of KILL (state D)"),
        ((None, False), "what the command has started: it cannot be seen"),
    ],
)
def test_what_cannot_be_stopped_is_not_said_to_have_been(
    capsys: pytest.CaptureFixture[str], clock: _Clock, survivor: Survivor, text: str
) -> None:
    """One line for each, an error: the lock is not released meanwhile."""
    _progress().survive([survivor])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"consul-lock: cannot stop {text}")


def test_a_killed_guardian_is_a_warning(capsys: pytest.CaptureFixture[str], clock: _Clock) -> None:
    """It says why the command is being stopped."""
    _progress().unguarded()
    assert "the guardian of make was killed, so it is being stopped" in capsys.readouterr().err
