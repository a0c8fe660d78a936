"""The command's process before it is the command: it waits at a pipe for the word to begin.

    consul-lock    fork the guardian, import the library, acquire ......... go      supervise
    guardian       fork the command's process, wait ..................................
    command        setpgid, wait at the pipe .............................. exec    the command

If the pipe ends without that word (consul-lock gave up, or was killed) the process ends too: the
command never runs without the lock.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.process import libc
from consul_lock_cli.process.signals import Signals, give_back
from consul_lock_cli.spec.process import ProcessPolicy


class Launch:
    """A command that is to run, and the pipes between its process and consul-lock.

    ``output`` is a file descriptor for its stdout and stderr; None: those of this process.
    Raises OSError if the system refuses a pipe.
    """

    def __init__(
        self,
        command: Sequence[str],
        signals: Signals,
        policy: ProcessPolicy,
        output: int | None = None,
    ) -> None:
        self.command = command
        self._signals = signals
        self._policy = policy
        self._output = output
        self._go_read, self._go = os.pipe()
        try:
            self._failure, self._failure_write = os.pipe()
        except OSError:
            self._close("_go_read", "_go")
            raise

    # -- in its parent, which may be the guardian -------------------------------------------

    def fork(self, *others: int) -> int:
        """The pid of its process, which has a group of its own from here on, and none of these
        ``others``: file descriptors.  Raises OSError if the system refuses it.
        """
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self.leave()
            for descriptor in others:
                os.close(descriptor)
            self._become(parent)
        if not self._policy.foreground:
            # The child does the same: whichever is first, the group exists from here on.
            with suppress(OSError):
                os.setpgid(pid, pid)
        return pid

    def leave(self) -> None:
        """Close the ends of consul-lock."""
        self._close("_go", "_failure")

    # -- in consul-lock -----------------------------------------------------------------------

    def enter(self) -> None:
        """Close the ends of the command's process."""
        self._close("_go_read", "_failure_write")

    def close(self) -> None:
        """There is no process."""
        self._close("_go_read", "_go", "_failure", "_failure_write")

    @property
    def pending(self) -> bool:
        """Neither `go` nor `forbid` has been called."""
        return self._go >= 0

    def go(self, changes: Mapping[str, str | None]) -> None:
        """Run the command, with these changes of the environment; None removes a variable."""
        with suppress(BrokenPipeError):  # it has been killed: its status will say so
            os.write(self._go, json.dumps(changes).encode())
        self._close("_go")

    def forbid(self) -> None:
        """Never run the command."""
        self._close("_go")

    def failure(self) -> OSError | None:
        """Why the command could not be run; None if it was.  To be asked when it has ended."""
        found = os.read(self._failure, 16)
        return OSError(int(found), os.strerror(int(found))) if found else None

    def _close(self, *names: str) -> None:
        for name in names:
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)

    # -- in the process itself ----------------------------------------------------------------

    def _become(self, parent: int) -> NoReturn:
        try:
            if not self._policy.foreground:
                os.setpgid(0, 0)
            libc.die_with_parent(self._policy.stop_signal)
            changes = self._wait()
            if changes is None or os.getppid() != parent:
                os._exit(ExitCode.UNAVAILABLE)  # nobody is there to see it
            if self._policy.stdin_null:
                _read_nothing()
            if self._output is not None:
                os.dup2(self._output, 1)
                os.dup2(self._output, 2)
            environment = {k: v for k, v in {**inherited(), **changes}.items() if v is not None}
            # From here on a signal takes effect, also one that came during the wait.
            give_back(self._signals)
            os.execvpe(self.command[0], tuple(self.command), environment)
        except OSError as error:
            os.write(self._failure_write, str(error.errno or errno.EIO).encode())
        except BaseException:  # noqa: BLE001 - a forked child must not unwind into its parent's code
            os.write(self._failure_write, str(errno.EINVAL).encode())
        os._exit(ExitCode.NOT_EXECUTABLE)

    def _wait(self) -> dict[str, str | None] | None:
        message = b""
        while part := os.read(self._go_read, 65536):
            message += part
        # One that was cut off is no JSON, and raises: neither is taken for an order to run.
        changes: dict[str, str | None] | None = json.loads(message) if message else None
        return changes


def _read_nothing() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    # dup2 leaves it as it was if it was 0 already.
    os.set_inheritable(0, True)


def inherited() -> dict[str, str]:
    """The environment, without the LC_CTYPE that Python adds where no locale is set, as under
    cron."""
    environ = dict(os.environ)
    before = libc.initial_environment()
    if before and b"\0LC_CTYPE=" not in b"\0" + before:
        environ.pop("LC_CTYPE", None)
    return environ
