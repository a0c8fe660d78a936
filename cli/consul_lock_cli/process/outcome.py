"""How a command ended, and the exit code that stands for it."""

from __future__ import annotations

import enum
import errno
from typing import NamedTuple

from consul_lock_cli.base.exit_codes import ExitCode


class StopReason(enum.Enum):
    """Why consul-lock has stopped a command on its own initiative."""

    LOST = "lost"
    OVERTIME = "timeout"


class ProcessResult(NamedTuple):
    """How it ended."""

    code: int
    """The command's exit code, or minus the signal that killed it."""
    lost: bool
    """The lock was lost while something still ran, whatever the outcome of that."""
    typed: bool
    """A signal that killed it was typed at the terminal, so it is meant for consul-lock too."""
    failure: OSError | None
    """Why it could not be run; None if it was."""
    stopped: StopReason | None = None
    """Why consul-lock has stopped it; None: it has not."""
    asked: bool = False
    """Consul-lock was asked to end with it: by TERM, or by such a signal while it was stopped."""


def exit_code(ended: ProcessResult) -> int:
    """What is passed on, as a shell has it: 128+n for a death of signal n."""
    if ended.failure is not None:
        return _not_run(ended.failure)
    if ended.stopped is not None:
        return ExitCode.LOST if ended.stopped is StopReason.LOST else ExitCode.OVERTIME
    return 128 - ended.code if ended.code < 0 else ended.code


def _not_run(error: OSError) -> ExitCode:
    """As the shell has it: 127 if there is no such command, 126 if there is but cannot be run."""
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    return ExitCode.NOT_FOUND if missing else ExitCode.NOT_EXECUTABLE
