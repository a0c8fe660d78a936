"""The guardian: a process that stops the command if we are killed and cannot do it ourselves.

It has a pipe to us and waits at its other end.  The pipe ends when we do, however that is.
Without a goodbye it sends the command the first signal, and SIGKILL when its time is over.
If we have sent the first signal ourselves, it sees to it that SIGKILL comes in time, whether
we have ended or hang, such as on a stderr that nobody reads.

While it waits it is a shell, guardian.sh, as a Python would take fifteen times the memory;
when it has to act it runs `aftermath`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from consul_lock_cli.aftermath import GOODBYE, hundredths
from consul_lock_cli.clock import now
from consul_lock_cli.group import start_of
from consul_lock_cli.manner import Manner

SHELL = "/bin/sh"

_SCRIPT = Path(__file__).with_name("guardian.sh")

# Seconds.  It takes a thousandth, unless it is just about to run `aftermath`, or is stopped.
_LEAVING = 1.0

# Images without a shell, or with one that is not for us.
_NO_SHELL = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENOEXEC})

# Of the environment, what a shell and a Python need to start.  Nothing that a shell would read
# at its start, such as ENV, or take for a function; and no token of Consul.
_KEPT = frozenset(
    {
        "PATH", "PYTHONHOME", "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX",
        "PYTHONDONTWRITEBYTECODE", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__",
    }
)  # fmt: skip
_KEPT_KINDS = ("LD_", "DYLD_")

# What is done to a descriptor of a new process, as `os.posix_spawn` takes it.
_Action = tuple[int, int] | tuple[int, int, int] | tuple[int, int, str, int, int]


class Guardian:
    """Watches over the command whose first process is ``pid``, from now to `dismiss`.

    Raises OSError if the system refuses a process or a pipe.
    """

    def __init__(self, pid: int, manner: Manner) -> None:
        listen, self._pipe = os.pipe()
        try:
            self.pid = _start(_facts(pid, manner), listen)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(listen)
        # It may be stopped: what does not fit into the pipe is not said.
        os.set_blocking(self._pipe, False)

    def expect(self, kill_at: float) -> None:
        """Tell it that the command has been sent the first signal, and when SIGKILL is due."""
        self._say(str(hundredths(kill_at)))

    def dismiss(self) -> None:
        """The command has ended, or will not start: so does the guardian."""
        self._say(GOODBYE)
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def reap(self) -> None:
        """After `dismiss`: see it out.

        Where nobody reaps orphans, such as in many a container, it would stay a zombie.
        """
        end = now() + _LEAVING
        while self._pipe < 0 and now() < end:
            try:
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
            except ChildProcessError:
                return
            time.sleep(0.001)

    def _say(self, message: str) -> None:
        """One line, which is written at once or not at all: it is shorter than PIPE_BUF."""
        if self._pipe >= 0:
            # If it was killed itself, there is nothing to be done about it.
            with contextlib.suppress(BrokenPipeError, BlockingIOError):
                os.write(self._pipe, f"{message}\n".encode())


def _facts(pid: int, manner: Manner) -> list[str]:
    """What it has to know, as arguments; `aftermath` and guardian.sh read them."""
    return [
        str(pid),
        "alone" if manner.foreground else "group",
        start_of(pid) or "-",
        str(int(manner.stop_signal)),
        str(hundredths(manner.kill_after)),
        str(os.getpid()),
    ]


def _start(facts: list[str], listen: int) -> int:
    environment = _environment(os.environ)
    # A program that Python is a part of may not know where there is one: the shell goes on.
    python = sys.executable or "python3"
    # From a zip file no shell can read.
    if os.access(_SCRIPT, os.R_OK):
        try:
            command = ["sh", str(_SCRIPT), *facts, python]
            return _spawn(SHELL, command, environment, listen)
        except OSError as error:
            if error.errno not in _NO_SHELL:
                raise
    command = [python, "-P", "-S", "-m", "consul_lock_cli.aftermath", *facts]
    return _spawn(python, command, environment, listen)


def _spawn(program: str, command: list[str], environment: Mapping[str, str], listen: int) -> int:
    _keep_to_ourselves()
    actions: list[_Action] = []
    if listen == 0:
        # Older C libraries close what is moved to where it is already.
        os.set_inheritable(listen, True)
    else:
        actions.append((os.POSIX_SPAWN_DUP2, listen, 0))
    # Nobody must wait for the end of our stdout because of it; and what it opens must not become
    # its own.
    if os.access(os.devnull, os.W_OK):
        actions += ((os.POSIX_SPAWN_OPEN, each, os.devnull, os.O_WRONLY, 0) for each in (1, 2))
    else:
        actions += ((os.POSIX_SPAWN_CLOSE, each) for each in (1, 2))
    return os.posix_spawn(
        program,
        command,
        environment,
        file_actions=actions,
        # No key at the terminal is meant for it, and no signal for our group.
        setpgroup=0,
        # But it has to hear of the end of its own child.
        setsigmask=signal.pthread_sigmask(signal.SIG_BLOCK, ()) - {signal.SIGCHLD},
    )


def _keep_to_ourselves() -> None:
    """No further program gets what we were started with, such as the lock of a flock(1).

    The command has it by now.  `os.posix_spawn` could close it, but for numbers that are above
    the limit of open files, which may have been lowered since.
    """
    try:
        opened = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - names are all
    except OSError:
        opened = list(range(256))
    for descriptor in opened:
        if descriptor > 2:
            # The one that listed them is closed already.
            with contextlib.suppress(OSError):
                os.set_inheritable(descriptor, False)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in ours.items() if k in _KEPT or k.startswith(_KEPT_KINDS)}
    # Where we come from, which may be no place of Python's own.
    modules = str(Path(__file__).parent.parent)
    for name, more in (("PYTHONPATH", modules), ("PATH", os.defpath)):
        kept[name] = os.pathsep.join([*filter(None, [kept.get(name)]), more])
    return kept
