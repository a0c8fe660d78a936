"""What cron is to mail of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock_cli.base.console import Console
from consul_lock_cli.cron import report
from consul_lock_cli.cron.kept_output import KeptOutput
from consul_lock_cli.cron.report import RunReport
from consul_lock_cli.process.outcome import ProcessResult, StopReason, exit_code

_ENDED = ProcessResult(0, lost=False, typed=False, failure=None)
_SLOT = "2026-11-21T17:00:00Z"
_EPOCH = 1795280400.0


class _Act:
    """Comes to its end, or is cut off by a signal."""

    def __init__(self, finished: bool = True) -> None:
        self._finished = finished

    def finish(self, act: Callable[[], object], budget: float) -> bool:
        act()
        return self._finished


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is twelve seconds after the last one; it fires at its slot."""
    looks = iter(range(0, 1000, 12))
    monkeypatch.setattr(report, "now", lambda: float(next(looks)))
    monkeypatch.setattr(report, "FIRED_AT", _EPOCH + 1)


def _told(
    capfd: pytest.CaptureFixture[str],
    when: str,
    ended: ProcessResult,
    *,
    code: int | None = None,
    attempt: int = 1,
    output: Any = None,
    act: Any = None,
    console: Console | None = None,
) -> tuple[str, str]:
    """What is on stdout and stderr."""
    made = RunReport("sync", when, output, console or Console())
    made.begin()
    made.ran()
    code = exit_code(ended) if code is None else code
    made.finish(_SLOT, _EPOCH, attempt, ended, code, act or _Act())
    captured = capfd.readouterr()
    return captured.out, captured.err


@pytest.mark.parametrize(
    "when, code, said",
    [
        ("never", 0, ""),
        ("never", 3, ""),
        ("failure", 0, ""),
        ("failure", 3, "failed: exit code 3"),
        ("always", 3, "failed: exit code 3"),
        ("always", 0, "succeeded: exit code 0"),
    ],
)
def test_a_line_is_printed_when_it_was_asked_for(
    capfd: pytest.CaptureFixture[str], when: str, code: int, said: str
) -> None:
    """One line, on stderr."""
    line = f"consul-lock: job sync {said}, slot 17:00Z, attempt 1, run time 12s\n" if said else ""
    assert _told(capfd, when, _ENDED._replace(code=code)) == ("", line)


@pytest.mark.parametrize(
    "ended, said",
    [
        (_ENDED._replace(code=-9), "died of KILL, exit code 137"),
        (_ENDED._replace(code=-15, stopped=StopReason.OVERTIME), "died of TERM, exit code 124"),
        (_ENDED._replace(code=0, stopped=StopReason.LOST), "exit code 76"),
    ],
)
def test_the_line_has_the_signal_and_the_exit_code_of_consul_lock(
    capfd: pytest.CaptureFixture[str], ended: ProcessResult, said: str
) -> None:
    """A run that was stopped has failed, whatever the command made of it."""
    assert f"job sync failed: {said}, slot" in _told(capfd, "failure", ended)[1]


def test_a_command_that_could_not_be_run_has_a_line_already(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """One is enough."""
    ended = _ENDED._replace(failure=FileNotFoundError(2, "no"))
    assert _told(capfd, "always", ended) == ("", "")


def test_a_run_without_a_record_has_no_number(capfd: pytest.CaptureFixture[str]) -> None:
    """Consul could not be reached."""
    assert "slot 17:00Z, run time" in _told(capfd, "always", _ENDED, attempt=0)[1]


def test_a_program_reads_the_same_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    """With figures instead of words."""
    console = Console()
    console.json = True
    _, said = _told(capfd, "failure", _ENDED._replace(code=3), console=console)
    event = json.loads(said)
    assert (event["event"], event["level"], event["code"]) == ("finished", "error", 3)
    assert (event["attempt"], event["runtime_s"]) == (1, 12.0)


def _kept(text: bytes) -> KeptOutput:
    kept = KeptOutput()
    os.write(kept.descriptor, text)
    return kept


@pytest.mark.parametrize("when", ["never", "failure", "always"])
@pytest.mark.parametrize("code, shown", [(0, ""), (3, "mine\n")])
def test_the_output_is_shown_of_a_run_that_failed(
    capfd: pytest.CaptureFixture[str], when: str, code: int, shown: str
) -> None:
    """Whether there is a line or not."""
    out, _ = _told(capfd, when, _ENDED._replace(code=code), output=_kept(b"mine\n"))
    assert out == shown


def test_a_loss_that_was_found_at_the_release_is_a_failure(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The command itself has ended with 0."""
    out, said = _told(capfd, "failure", _ENDED, code=76, output=_kept(b"mine\n"))
    assert out == "mine\n"
    assert "failed: exit code 76" in said


def test_what_is_cut_off_by_a_signal_or_a_closed_stdout_is_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It is no other exit code."""
    failed = _ENDED._replace(code=3)
    _, said = _told(capfd, "never", failed, output=_kept(b"mine\n"), act=_Act(finished=False))
    assert said == "consul-lock: warning: --chronic: the output was cut off by a signal\n"

    class Broken(_Act):
        def finish(self, act: Callable[[], object], budget: float) -> bool:
            raise BrokenPipeError(32, "Broken pipe")

    _, said = _told(capfd, "never", failed, output=_kept(b"mine\n"), act=Broken())
    assert said == "consul-lock: warning: --chronic: the output could not be shown: Broken pipe\n"
