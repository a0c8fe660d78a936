"""What happens around a command that runs under something held, whatever goes wrong."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from consul_lock.errors import Unavailable
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.process.interrupt import Interrupted, OutOfTime
from consul_lock_cli.process.outcome import ProcessResult, StopReason
from consul_lock_cli.process.signals import WAKE, Signals
from consul_lock_cli.run import execution, result
from consul_lock_cli.run.execution import Execution, conclude, undertake
from consul_lock_cli.run.loss import Cause
from consul_lock_cli.run.result import RunResult
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.spec.process import ProcessPolicy

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

_SIGNALS = Signals(frozenset({WAKE}), frozenset())
_ENDED = ProcessResult(5, lost=False, typed=False, failure=None)


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those of the process that runs the tests are left alone."""
    monkeypatch.setattr(execution, "take_over", lambda: _SIGNALS)
    handler, mask = signal.getsignal(WAKE), signal.pthread_sigmask(signal.SIG_BLOCK, {WAKE})
    yield
    signal.signal(WAKE, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.fixture
def status(tmp_path: Path) -> Path:
    """Where the outcome goes."""
    return tmp_path / "status"


def _told(status: Path) -> tuple[Any, ...]:
    """How it ended, of which code or signal, and the exit code."""
    written = json.loads(status.read_text())
    end = written["exit"]
    return end["kind"], end["code"], end["signal"], written["exit_code"]


def _execution(status: Path) -> Execution:
    return Execution(
        "deploy", "make", ProcessPolicy(), Console(), _SIGNALS, StatusFile(str(status))
    )


class _Undertaking:
    """Ends in the way that a test asks for."""

    def __init__(self, end: BaseException | RunResult, asked: bool = False) -> None:
        self._end = end
        self.asked = asked
        self.pid = 0

    def around(self, child: Any) -> RunResult:
        self.pid = child.pid if child else 0
        if isinstance(self._end, BaseException):
            raise self._end
        return self._end


def _undertake(made: _Undertaking, status: Path, *command: str) -> RunResult:
    policy = ProcessPolicy(guardian=False)
    return undertake(command, policy, Console(), StatusFile(str(status)), lambda _: made)


@pytest.mark.parametrize(
    "error, written",
    [
        (Interrupted(signal.SIGTERM), ("interrupted", None, 15, 143)),
        (Misuse("wrong"), ("failed", 64, None, 64)),
        (click.BadParameter("wrong"), ("failed", 64, None, 64)),
        (Unavailable(), ("unavailable", 69, None, 69)),
        (OSError("no processes"), ("failed", 71, None, 71)),
        (KeyError("a bug"), ("failed", 70, None, 70)),
    ],
)
def test_a_failure_is_in_the_status_file_and_the_command_never_ran(
    status: Path, tmp_path: Path, error: BaseException, written: tuple[Any, ...]
) -> None:
    """The error goes on; the process that waited for its order is gone."""
    made = _Undertaking(error)
    with pytest.raises(type(error)):
        _undertake(made, status, "touch", str(tmp_path / "mark"))
    assert _told(status) == written
    assert not (tmp_path / "mark").exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(made.pid, os.WNOHANG)


@pytest.mark.parametrize(
    "done, asked, said",
    [
        (RunResult(None, _ENDED), False, False),
        (RunResult(None, _ENDED), True, True),
        (RunResult(None, _ENDED._replace(asked=True)), False, True),
        (RunResult(75), True, True),
    ],
)
def test_a_request_to_end_is_remembered_whenever_it_came(
    status: Path, done: RunResult, asked: bool, said: bool
) -> None:
    """While the command ran, or afterwards.  Nothing is written yet: there is more to come."""
    assert _undertake(_Undertaking(done, asked), status) == done._replace(asked=said)
    assert not status.exists()


@pytest.mark.parametrize(
    "done, code",
    [
        (RunResult(75), 75),
        (RunResult(0), 0),
        (RunResult(None, _ENDED), 5),
        (RunResult(None, _ENDED._replace(code=-9, stopped=StopReason.LOST)), 76),
        (RunResult(None, _ENDED._replace(failure=FileNotFoundError(2, "no"))), 127),
    ],
)
def test_the_end_is_passed_on_and_written(status: Path, done: RunResult, code: int) -> None:
    """An exit code of consul-lock, else that of the command."""
    assert conclude(done, ["make"], Console(), StatusFile(str(status))) == code
    assert json.loads(status.read_text())["exit_code"] == code


def test_before_it_dies_of_a_signal_the_end_is_written(
    status: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards it would be too late."""

    def die(signum: int, group: bool) -> None:
        assert json.loads(status.read_text())["exit_code"] == 128 + signum
        raise Interrupted(signum)

    monkeypatch.setattr(result, "die_by", die)
    done = RunResult(None, _ENDED._replace(code=-15))
    with pytest.raises(Interrupted):
        conclude(done, ["make"], Console(), StatusFile(str(status)))


def test_a_loss_before_the_start_starts_nothing(
    status: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, in the status file, too."""

    class Loss:
        def cause(self) -> Cause:
            return Cause("its session is gone", {"reason": "session invalid"}, "do this")

    loss: Any = Loss()
    made = _execution(status)
    assert made.lost_before(loss) == RunResult(76)
    assert capsys.readouterr().err == (
        "consul-lock: LOST deploy before the command was started: its session is gone (76)\n"
        "hint: do this\n"
    )
    conclude(RunResult(76), ["make"], Console(), made._status_file)
    assert _told(status) == ("lost", 76, None, 76)
    assert json.loads(status.read_text())["lost"] is True


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    "act, ended, asked",
    [(lambda: None, True, False), (_raise(Interrupted(15)), False, True)],
)
def test_a_release_comes_to_its_end_or_is_remembered_as_cut_off(
    status: Path, act: Callable[[], None], ended: bool, asked: bool
) -> None:
    """A signal that cuts it off is no error: the command has ended."""
    made = _execution(status)
    assert made.finish(act, 60.0) is ended
    assert made.asked is asked


@pytest.mark.parametrize("error", [OutOfTime(), KeyError("x")])
def test_a_release_that_fails_fails(status: Path, error: BaseException) -> None:
    """The caller has to say that it was not released."""
    with pytest.raises(type(error)):
        _execution(status).finish(_raise(error), 60.0)


@pytest.mark.parametrize(
    "error, asked, said",
    [
        (OutOfTime(), False, ""),
        (Interrupted(15), True, ""),
        (KeyError("x"), False, "while closing: 'x'"),
    ],
)
def test_trouble_while_closing_changes_nothing_any_more(
    status: Path,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    asked: bool,
    said: str,
) -> None:
    """The session ends by itself; -v says what it was."""

    class Client:
        close = staticmethod(_raise(error))

    client: Any = Client()
    made = _execution(status)
    made._console.verbosity = 1
    made.close(client)
    assert made.asked is asked
    assert said in capsys.readouterr().err
