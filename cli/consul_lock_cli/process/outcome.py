"""How the command ended, passed on to whoever waits for us."""

from __future__ import annotations

import enum
import errno
from typing import NamedTuple

from consul_lock_cli.base.console import Talk
from consul_lock_cli.base.error_table import ExitCode
from consul_lock_cli.base.names import shown
from consul_lock_cli.process.signals import die_by


class Why(enum.Enum):
    """Why we have stopped a command, where nobody else wanted it."""

    LOST = "lost"
    OVERTIME = "timeout"


class Ended(NamedTuple):
    """How it ended."""

    code: int
    """The command's exit code, or minus the signal that killed it."""
    lost: bool
    """The lease was lost while something still ran, whatever became of that."""
    typed: bool
    """A signal that killed it was typed at the terminal, so it is meant for us too."""
    failure: OSError | None
    """Why it could not be run; None if it was."""
    stopped: Why | None = None
    """Why we have stopped it; None: we have not."""
    asked: bool = False
    """We were asked to end with it: by TERM, or by another such signal while it was stopped."""


class Done(NamedTuple):
    """What is to be passed on: an exit code of ours, else how the command ended."""

    code: int | None
    ended: Ended | None = None
    asked: bool = False
    """A signal asked us to end, while the command ran or afterwards."""


def pass_on(ended: Ended, program: str, talk: Talk) -> int:
    """The exit code.  Dies of the signal that killed the command, so clean up before."""
    if ended.failure is not None:
        return _cannot_run(program, ended.failure, talk)
    if ended.code < 0 and ended.stopped is None:
        die_by(-ended.code, group=ended.typed)
    return exit_code(ended)


def exit_code(ended: Ended) -> int:
    """What is passed on, as a shell has it: 128+n for a death of signal n."""
    if ended.failure is not None:
        return _not_run(ended.failure)
    if ended.stopped is not None:
        return ExitCode.LOST if ended.stopped is Why.LOST else ExitCode.OVERTIME
    return 128 - ended.code if ended.code < 0 else ended.code


def _not_run(error: OSError) -> ExitCode:
    """As the shell has it: 127 if there is no such command, 126 if there is but cannot be run."""
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    return ExitCode.NOT_FOUND if missing else ExitCode.NOT_EXECUTABLE


def _cannot_run(program: str, error: OSError, talk: Talk) -> int:
    code = _not_run(error)
    hint = ""
    if error.errno == errno.ENOEXEC:
        hint = "a script begins with a line like #!/bin/sh"
    elif " " in program:
        hint = "use -c for a shell command"
    talk.error(f"cannot run '{shown(program)}': {error.strerror} ({code:d})", hint)
    return code
