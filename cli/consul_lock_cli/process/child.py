"""The command's process: forked before any thread exists, held back until it may start.

A process that has threads cannot fork safely, and the library has threads.  So the fork comes
first; the child then waits at a pipe for its environment, and if the pipe ends without one
(consul-lock gave up, or was killed) it ends too: the command never runs without the lock.

    consul-lock   fork, fork the guardian, import the library, acquire ... go      supervise
    child         setpgid, wait at the pipe .............................. exec    the command

The obvious order, to fork when the lock is held, makes the child a copy of a process whose other
threads are gone: a mutex that one of them held just then, of malloc or of an import, is held for
ever in the child, which hangs before its exec, under the lock.  `subprocess` avoids that in C
code, but runs none of the steps that are needed in between here: a group of its own, the signal
at the death of the parent, signals given back.  It would also report only after the acquire that
no process can be made, and there would be a moment in which the lock is held and a SIGKILL leaves
a command that no guardian knows.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.process import libc
from consul_lock_cli.process.guardian import Guardian
from consul_lock_cli.process.signals import Signals, give_back
from consul_lock_cli.spec.process import ProcessPolicy


class Child:
    """A process that will become ``command``, as the leader of a group of its own.

    ``output`` is a file descriptor for its stdout and stderr; None: those of this process.
    ``policy`` says how it is run.  Raises OSError if the system refuses a process or a pipe; then
    nothing of it is left.
    """

    def __init__(
        self,
        command: Sequence[str],
        signals: Signals,
        *,
        policy: ProcessPolicy,
        output: int | None = None,
    ) -> None:
        self.guardian: Guardian | None = None
        parent = os.getpid()
        with _refusal():
            go_read, self._go = os.pipe()
            self._report, report_write = os.pipe()
            self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)
            os.close(self._report)
            _become(command, signals, parent, go_read, report_write, output, policy)
        os.close(go_read)
        os.close(report_write)
        if not policy.foreground:
            try:
                # The child does the same: whichever is first, the group exists from here on.
                os.setpgid(self.pid, self.pid)
            except OSError:
                pass  # it has done so already
        self._guard(policy)

    def _guard(self, policy: ProcessPolicy) -> None:
        if policy.guardian:
            try:
                with _refusal():
                    self.guardian = Guardian(self.pid, policy)
            except OSError:
                self.abandon()
                raise

    def go(self, changes: Mapping[str, str | None]) -> None:
        """Run the command, with these changes of the environment; None removes a variable."""
        try:
            os.write(self._go, json.dumps(changes).encode())
        except BrokenPipeError:
            pass  # it has been killed, as its status will show
        os.close(self._go)
        self._go = -1

    def abandon(self) -> None:
        """Never run the command, if it does not run yet; and wait for the end of the guardian."""
        if self._go >= 0:
            if self.guardian is not None:
                self.guardian.dismiss()
            os.close(self._go)
            self._go = -1
            # SIGKILL, as it does nothing yet, and might be stopped: then it would not see the pipe.
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.guardian is not None:
            self.guardian.reap()

    def failure(self) -> OSError | None:
        """Why the command could not be run; None if it was.  To be asked when it has ended."""
        found = os.read(self._report, 16)
        return OSError(int(found), os.strerror(int(found))) if found else None


@contextlib.contextmanager
def _refusal() -> Iterator[None]:
    """Turn a refusal of the system into words; pipes that are open by then end with the process."""
    try:
        yield
    except OSError as error:
        raise OSError(f"cannot start a process: {error.strerror}") from error


def _become(
    command: Sequence[str],
    signals: Signals,
    parent: int,
    go: int,
    report: int,
    output: int | None,
    policy: ProcessPolicy,
) -> NoReturn:
    try:
        if not policy.foreground:
            os.setpgid(0, 0)
        libc.die_with_parent(policy.stop_signal)
        changes = _wait(go)
        if changes is None or os.getppid() != parent:
            os._exit(ExitCode.UNAVAILABLE)  # nobody is there to see it
        if policy.stdin_null:
            _read_nothing()
        if output is not None:
            os.dup2(output, 1)
            os.dup2(output, 2)
        environment = {k: v for k, v in {**inherited(), **changes}.items() if v is not None}
        # From here on a signal takes effect, also one that came during the wait.
        give_back(signals)
        os.execvpe(command[0], tuple(command), environment)
    except OSError as error:
        os.write(report, str(error.errno or errno.EIO).encode())
    except BaseException:  # noqa: BLE001 - a forked child must not unwind into its parent's code
        os.write(report, str(errno.EINVAL).encode())
    os._exit(ExitCode.NOT_EXECUTABLE)


def _read_nothing() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    # dup2 leaves it as it was if it was 0 already.
    os.set_inheritable(0, True)


def _wait(go: int) -> dict[str, str | None] | None:
    message = b""
    while part := os.read(go, 65536):
        message += part
    # A message that was cut off is no JSON, and raises: it is not taken for an order to run.
    changes: dict[str, str | None] | None = json.loads(message) if message else None
    return changes


def inherited() -> dict[str, str]:
    """The environment, without the LC_CTYPE that Python adds where no locale is set, as under
    cron."""
    environ = dict(os.environ)
    try:
        before = b"\0" + Path("/proc/self/environ").read_bytes()
    except OSError:
        return environ
    if b"\0LC_CTYPE=" not in before:
        environ.pop("LC_CTYPE", None)
    return environ
