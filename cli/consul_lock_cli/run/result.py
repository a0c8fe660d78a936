"""What is passed on when all is over: an exit code, or a death by a signal."""

from __future__ import annotations

import errno
from typing import NamedTuple

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.text import shown
from consul_lock_cli.process.outcome import ProcessResult, exit_code
from consul_lock_cli.process.signals import die_by


class RunResult(NamedTuple):
    """What is to be passed on: an exit code of consul-lock, else how the command ended."""

    code: int | None
    ended: ProcessResult | None = None
    asked: bool = False
    """A signal asked consul-lock to end, while the command ran or afterwards."""

    @property
    def exit_code(self) -> int:
        """The exit code, as a shell has it: 128+n for a death of signal n."""
        if self.code is None and self.ended is not None:
            return exit_code(self.ended)
        return self.code or 0


def pass_on(ended: ProcessResult, program: str, console: Console) -> int:
    """The exit code.  Dies of the signal that killed the command, so clean up before."""
    if ended.failure is not None:
        return _cannot_run(program, ended, ended.failure, console)
    if ended.code < 0 and ended.stopped is None:
        die_by(-ended.code, group=ended.typed)
    return exit_code(ended)


def _cannot_run(program: str, ended: ProcessResult, error: OSError, console: Console) -> int:
    code = exit_code(ended)
    hint = ""
    if error.errno == errno.ENOEXEC:
        hint = "a script begins with a line like #!/bin/sh"
    elif " " in program:
        hint = "use -c for a shell command"
    elif error.errno == errno.ENOENT and "/" not in program:
        hint = "it is in no folder of PATH, which is short in a cron job: give its whole path"
    elif error.errno == errno.ENOENT:
        hint = "does the file exist, and does the program that its #! line names?"
    elif error.errno == errno.EACCES:
        hint = "is it a file that this user may execute? see chmod +x"
    console.error(f"cannot run '{shown(program)}': {error.strerror} ({code:d})", hint)
    return code
