"""The command in the process of the test: its exit code and what it prints, without a start.

It is for what ends before anything is started: misuse, settings, checks and reads.  What forks or
takes over signals needs a process of its own, as command.py starts it, and is refused here.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import NoReturn
from unittest.mock import patch

from consul_lock_cli import main
from consul_lock_cli.doctor import processes
from consul_lock_cli.run import execution

Result = subprocess.CompletedProcess[str]


class _Left(BaseException):
    """The process would have ended."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def in_process(*arguments: str, env: Mapping[str, str]) -> Result:
    """Run `consul-lock` with these words and this environment, and nothing of it stays behind."""
    output, errors = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, env, clear=True))
        stack.enter_context(patch.object(main, "leave", _leave))
        stack.enter_context(patch.object(main, "die_by", lambda signum: _leave(-signum)))
        stack.enter_context(patch.object(execution, "take_over", _refuse))
        # They fork, and reap all children of this process; doctor/test_processes shows them.
        stack.enter_context(patch.object(processes, "_ends", lambda family: True))
        stack.enter_context(redirect_stdout(output))
        stack.enter_context(redirect_stderr(errors))
        stack.enter_context(own_messages())
        try:
            main.main(arguments)
        except _Left as left:
            return Result(arguments, left.code, output.getvalue(), errors.getvalue())


@contextmanager
def own_messages() -> Iterator[None]:
    """The command prints the warnings and the log of the library itself, until the block ends."""
    log = logging.getLogger("consul_lock")
    handlers = list(log.handlers)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            yield
    finally:
        log.handlers[:] = handlers


def _leave(code: int) -> NoReturn:
    raise _Left(int(code))


def _refuse() -> NoReturn:
    raise AssertionError("this would fork: start it as a process")
