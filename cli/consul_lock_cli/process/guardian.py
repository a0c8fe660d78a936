"""The guardian: a process that stops the command if consul-lock is killed.

It waits at the end of a pipe from consul-lock, which ends when consul-lock does, in any way.
If consul-lock did not dismiss it, it sends the command the first signal, and SIGKILL when the
time for that is over.
If consul-lock has sent the first signal itself, the guardian makes sure that SIGKILL comes in time,
whether consul-lock has ended or hangs, such as on a stderr that nobody reads.  If it hangs or is
stopped before that, so that nothing is renewed, the guardian stops the command while no other
process can have the lock.

Time line of a consul-lock that is stopped with SIGSTOP, with the defaults; the deadline is 28.5 s
after the last verification, and nobody else can have the lock for 1.5 s after it:

    0.0 s   the lock is verified; the guardian gets: act at 26.0 s, kill at 28.5 s
    1.0 s   consul-lock is stopped, and renews nothing any more
    23.5 s  here it would have sent SIGTERM itself, 5 s (``--kill-after``) before the deadline
    26.0 s  the guardian has heard nothing since: it sends SIGTERM
    28.5 s  it sends SIGKILL to the rest of the command
    30.0 s  another host may acquire the lock

The obvious thing, that the kernel kills the child with its parent (PR_SET_PDEATHSIG), is used as
well, but reaches the first process alone, not its children, and does nothing while the parent is
stopped.  A thread would die, and stop, with consul-lock.

While it waits it is a shell, guardian.sh, as a Python would take fifteen times the memory;
when it has to act it runs `guardian_takeover`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from consul_lock_cli.base.clock import now
from consul_lock_cli.process.group import start_of
from consul_lock_cli.process.guardian_takeover import GOODBYE, LEASE, SUSPENDED, hundredths
from consul_lock_cli.spec.process import ProcessPolicy

SHELL = "/bin/sh"

_SCRIPT = Path(__file__).with_name("guardian.sh")

# Seconds.  A thousandth is enough, unless it is just about to run `guardian_takeover`, or is
# stopped.
_LEAVING = 1.0

# Seconds.  A timer makes the shell look at the clock, first when it has surely begun, then so
# often: for a short grace more often.
_FIRST_TICK = 2.0
_TICK_MIN, _TICK_MAX = 0.1, 1.0

# Seconds.  Leases that differ by less are the same, and so are clocks.
_SAME, _SAME_CLOCK = 0.05, 1.0

# Images without a shell, or with one that is not suitable.
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


class Guardian:
    """Watches over the command whose first process is ``pid``, from now to `dismiss`.

    Raises OSError if the system refuses a process or a pipe.
    """

    def __init__(self, pid: int, policy: ProcessPolicy) -> None:
        tick = min(max(_TICK_MIN, policy.kill_after / 4), _TICK_MAX)
        listen, self._pipe = os.pipe()
        try:
            self.pid = _start(_facts(pid, policy), listen, tick)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(listen)
        # It may be stopped: text that does not fit into the pipe is dropped.
        os.set_blocking(self._pipe, False)
        self._lease = 0.0
        self._knows_time = _shells_clock_is_ours()
        self._planned = False

    def watch(self, act_at: float, kill_at: float) -> None:
        """Send the time until which the command may run, and when it has to be dead: without news
        before the first, the guardian stops the command.
        """
        # The times differ a little at each calculation.
        if self._knows_time and not self._planned and abs(act_at - self._lease) > _SAME:
            self._lease = act_at
            self._say(f"{LEASE} {hundredths(act_at)} {hundredths(kill_at)}")

    def suspend(self) -> None:
        """consul-lock is about to stop, as the command has: it can do no harm until both go on."""
        if not self._planned:
            self._lease = 0.0
            self._say(SUSPENDED)

    def expect(self, kill_at: float) -> None:
        """Report that the command has been sent the first signal, and when SIGKILL is due."""
        self._planned = True
        self._say(str(hundredths(kill_at)))

    def dismiss(self) -> None:
        """The command has ended, or will not start: so does the guardian."""
        self._say(GOODBYE)
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def reap(self) -> None:
        """After `dismiss`: wait for its end.

        Where nobody reaps orphans, as in many containers, it would stay a zombie.
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


def _shells_clock_is_ours() -> bool:
    """A container may have an uptime of its own, and not every system shows it."""
    try:
        uptime = Path("/proc/uptime").read_text().split()[0]
    except OSError:
        return False
    return abs(float(uptime) - now()) < _SAME_CLOCK


def _facts(pid: int, policy: ProcessPolicy) -> list[str]:
    """Its parameters, as arguments; `guardian_takeover` and guardian.sh read them."""
    return [
        str(pid),
        "alone" if policy.foreground else "group",
        start_of(pid) or "-",
        str(int(policy.stop_signal)),
        str(hundredths(policy.kill_after)),
        str(os.getpid()),
    ]


def _start(facts: list[str], listen: int, tick: float) -> int:
    # A program with an embedded Python may not know the path of one: then the shell goes on.
    python = sys.executable or "python3"
    programs = [
        (python, [python, "-P", "-S", "-m", "consul_lock_cli.process.guardian_takeover", *facts])
    ]
    # From a zip file no shell can read.
    if os.access(_SCRIPT, os.R_OK):
        programs.insert(0, (SHELL, ["sh", str(_SCRIPT), *facts, python]))
    _keep_to_ourselves()
    failed, report = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _become(programs, _environment(os.environ), listen, report, tick)
    except BaseException:
        os.close(failed)
        raise
    finally:
        os.close(report)
    with os.fdopen(failed, "rb") as reading:
        trouble = reading.read()
    if trouble:
        os.waitpid(pid, 0)
        raise OSError(int(trouble), os.strerror(int(trouble)))
    return pid


def _become(
    programs: Sequence[tuple[str, list[str]]],
    environment: Mapping[str, str],
    listen: int,
    report: int,
    tick: float,
) -> NoReturn:
    trouble = errno.ENOENT
    try:
        # No key at the terminal is meant for it, and no signal for this process group.
        os.setpgid(0, 0)
        _arrange_descriptors(listen)
        # The command's shell may have ignored it.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, _FIRST_TICK, tick)
        # It also has to hear of the end of its own child.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGALRM, signal.SIGCHLD))
        for program, command in programs:
            try:
                os.execve(program, command, environment)
            except OSError as error:
                trouble = error.errno or errno.EIO
                if trouble not in _NO_SHELL:
                    break
    except OSError as error:
        trouble = error.errno or errno.EIO
    except BaseException:  # noqa: BLE001 - a forked child must not unwind into its parent's code
        trouble = errno.EINVAL
    os.write(report, str(trouble).encode())
    os._exit(1)


def _arrange_descriptors(listen: int) -> None:
    if listen == 0:
        os.set_inheritable(listen, True)
    else:
        os.dup2(listen, 0)
    # No reader must wait for the end of this stdout because of it; and what it opens must not
    # become its own.
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        for each in (1, 2):
            with contextlib.suppress(OSError):
                os.close(each)
    else:
        for each in (1, 2):
            os.dup2(nothing, each)


def _keep_to_ourselves() -> None:
    """Close the descriptors that consul-lock was started with, such as the lock of a flock(1).

    The command has it by now.
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


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in environ.items() if k in _KEPT or k.startswith(_KEPT_KINDS)}
    # Where this package is, which may be outside Python's own path.
    modules = str(Path(__file__).parents[2])
    for name, more in (("PYTHONPATH", modules), ("PATH", os.defpath)):
        kept[name] = os.pathsep.join([*filter(None, [kept.get(name)]), more])
    return kept
