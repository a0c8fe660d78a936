"""The exit code that stands for the end of a command."""

from __future__ import annotations

import errno

import pytest

from consul_lock_cli.process.outcome import ProcessResult, StopReason, exit_code

_EXITED = ProcessResult(0, lost=False, typed=False, failure=None)


@pytest.mark.parametrize("code", [0, 1, 75, 255])
def test_its_own_code_is_passed_on(code: int) -> None:
    """Also one that consul-lock has itself; that the lock was lost does not matter here."""
    assert exit_code(_EXITED._replace(code=code)) == code
    assert exit_code(_EXITED._replace(code=code, lost=True)) == code


@pytest.mark.parametrize("signum, code", [(1, 129), (9, 137), (15, 143)])
def test_a_death_by_a_signal_is_as_the_shell_has_it(signum: int, code: int) -> None:
    """128 and the number."""
    assert exit_code(_EXITED._replace(code=-signum)) == code


@pytest.mark.parametrize("code", [0, 5, -9, -15])
@pytest.mark.parametrize("why, said", [(StopReason.LOST, 76), (StopReason.OVERTIME, 124)])
def test_that_it_was_stopped_beats_its_own_code(code: int, why: StopReason, said: int) -> None:
    """Its success was not under the lock, or not in time."""
    assert exit_code(_EXITED._replace(code=code, stopped=why)) == said


@pytest.mark.parametrize(
    "number, code",
    [
        (errno.ENOENT, 127),
        (errno.ENOTDIR, 127),
        (errno.EACCES, 126),
        (errno.ENOEXEC, 126),
        (errno.EINVAL, 126),
    ],
)
def test_a_command_that_could_not_be_run(number: int, code: int) -> None:
    """There is none, or there is but it cannot be run; whatever became of the process."""
    failed = _EXITED._replace(code=126, failure=OSError(number, "no"))
    assert exit_code(failed) == code
    assert exit_code(failed._replace(stopped=StopReason.LOST)) == code
