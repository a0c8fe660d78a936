"""What is passed on at the end: an exit code, or a death by the same signal."""

from __future__ import annotations

import errno
import os

import pytest

from consul_lock_cli.base.console import Console
from consul_lock_cli.process.outcome import ProcessResult, StopReason
from consul_lock_cli.run import result

_ENDED = ProcessResult(0, lost=False, typed=False, failure=None)


class _Died(Exception):
    """Of that signal; the whole group, or this process alone."""


@pytest.fixture(autouse=True)
def _death(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(signum: int, group: bool = False) -> None:
        raise _Died(signum, group)

    monkeypatch.setattr(result, "die_by", die)


@pytest.mark.parametrize(
    "ended, code",
    [
        (_ENDED._replace(code=5), 5),
        (_ENDED._replace(code=-9, stopped=StopReason.LOST), 76),
        (_ENDED._replace(code=-15, stopped=StopReason.OVERTIME), 124),
    ],
)
def test_a_code_is_passed_on_in_silence(
    capsys: pytest.CaptureFixture[str], ended: ProcessResult, code: int
) -> None:
    """Also of a command that was killed for a reason of consul-lock's own."""
    assert result.pass_on(ended, "make", Console()) == code
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "done, code",
    [
        (result.RunResult(None), 0),
        (result.RunResult(75), 75),
        (result.RunResult(76, _ENDED), 76),
        (result.RunResult(None, _ENDED._replace(code=5)), 5),
        (result.RunResult(None, _ENDED._replace(code=-2)), 130),
    ],
)
def test_hooks_and_reports_get_the_exit_code(done: result.RunResult, code: int) -> None:
    """That of consul-lock, if it has one of its own, else that of the command."""
    assert done.exit_code == code


@pytest.mark.parametrize("typed", [False, True])
def test_a_death_by_a_signal_is_passed_on_as_one(typed: bool) -> None:
    """What was typed at the terminal was meant for the whole group."""
    with pytest.raises(_Died) as caught:
        result.pass_on(_ENDED._replace(code=-2, typed=typed), "make", Console())
    assert caught.value.args == (2, typed)


_NO_SUCH_NAME = "it is in no folder of PATH, which is short in a cron job: give its whole path"


@pytest.mark.parametrize(
    "program, number, lines",
    [
        (
            "no such --option",
            errno.ENOENT,
            [
                "consul-lock: cannot run 'no such --option': No such file or directory (127)",
                "hint: use -c for a shell command",
            ],
        ),
        (
            "make",
            errno.ENOENT,
            [
                "consul-lock: cannot run 'make': No such file or directory (127)",
                f"hint: {_NO_SUCH_NAME}",
            ],
        ),
        (
            "/bin/make",
            errno.ENOENT,
            [
                "consul-lock: cannot run '/bin/make': No such file or directory (127)",
                "hint: does the file exist, and does the program that its #! line names?",
            ],
        ),
        (
            "make",
            errno.EACCES,
            [
                "consul-lock: cannot run 'make': Permission denied (126)",
                "hint: is it a file that this user may execute? see chmod +x",
            ],
        ),
        ("make", errno.E2BIG, ["consul-lock: cannot run 'make': Argument list too long (126)"]),
        (
            "a script",
            errno.ENOEXEC,
            [
                "consul-lock: cannot run 'a script': Exec format error (126)",
                "hint: a script begins with a line like #!/bin/sh",
            ],
        ),
        ("\x1b", errno.EIO, ["consul-lock: cannot run '\\x1b': Input/output error (126)"]),
    ],
)
def test_a_command_that_cannot_be_run_is_reported_with_what_to_do(
    capsys: pytest.CaptureFixture[str], program: str, number: int, lines: list[str]
) -> None:
    """With a hint where it is clear what was meant."""
    failed = _ENDED._replace(code=126, failure=OSError(number, os.strerror(number)))
    code = result.pass_on(failed, program, Console())
    assert capsys.readouterr().err.splitlines() == lines
    assert f"({code})" in lines[0]
