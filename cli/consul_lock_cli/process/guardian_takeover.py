"""The guardian's second half: what becomes of the command when consul-lock was killed, or hangs.

A program of its own, run by guardian.sh when its pipe has ended or has said when SIGKILL is due,
and from the start where there is no shell.  Its arguments are those of guardian.sh but for the
last one; then comes the line that the shell has read, if it has.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from consul_lock_cli.base.clock import now
from consul_lock_cli.process import libc
from consul_lock_cli.process.group import Group, Target, runs, target

# The lines of the pipe.  Moments are `hundredths` of a second of `clock.now`; a line that is
# only one is that at which SIGKILL is due.
GOODBYE = "goodbye"
"""There is nothing left to do."""
LEASE = "lease"
"""Two moments follow: up to the first the command may run unless more news come, and at the
second it must be dead.  Then consul-lock hangs, or was stopped."""
SUSPENDED = "suspended"
"""consul-lock stops itself, and the command with it: no lease matters before the next one."""

_NAME = "lock-guardian"
# Read from the pipe at once: more than it can hold.
_ALL = 1 << 20

# Seconds.  How often it is checked whether the command has ended.
_POLL = 0.05
# How long to try to kill: a process that is left then cannot be killed, or is a zombie.
_KILLING = 10.0
# How long to wait for consul-lock to kill, as long as it lives: not to be the first.
_THEIRS = 0.1
# The end of the pipe comes a moment before the end of the process that had it.
_DYING = 1.0

# A process that changes its user gets no signal from the kernel when its parent dies.
_RIGHTS = (b"Uid:", b"Gid:", b"CapPrm:")


def hundredths(seconds: float) -> int:
    """A shell can reckon with whole numbers only."""
    return math.ceil(100 * seconds)


def main(arguments: Sequence[str]) -> None:
    """Return when nothing of the command is left, or was never to be stopped."""
    pid, kind, started, signum, kill_after, parent, *said = arguments
    libc.name_process(_NAME)
    # The timer is for a shell; this process knows when to look.
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    known = None if started == "-" else started
    command = target(int(pid), foreground=kind == "alone", started=known)
    last = _listen(0, said[0] if said else "")
    if last == GOODBYE:
        return
    if last.startswith(LEASE):
        kill_at = _moment(last.split()[2])
        command.signal(int(signum))
        command.signal(signal.SIGCONT)
    elif last:
        kill_at = _moment(last)
    else:
        kill_at = now() + int(kill_after) / 100
        _wait_for_the_end_of(int(parent))
        _tell(command, int(pid), int(signum))
    _kill(command, kill_at)


def _listen(pipe: int, last: str) -> str:
    """The last line when it is time to act; empty: consul-lock has ended without a plan."""
    heard = select.poll()
    heard.register(pipe, select.POLLIN)
    while last != GOODBYE and now() < (due := _due(last)):
        if heard.poll(None if due == math.inf else 1000 * (due - now())):
            # Lines are written as a whole, so none is read in part.
            lines = os.read(pipe, _ALL).decode().splitlines()
            if not lines:
                return last if last.isdecimal() else ""
            last = lines[-1]
    return last


def _due(said: str) -> float:
    """When that line causes an action, if none follows."""
    if said.startswith(LEASE):
        return _moment(said.split()[1])
    return _moment(said) + _THEIRS if said.isdecimal() else math.inf


def _moment(said: str) -> float:
    return int(said) / 100


def _kill(command: Target, kill_at: float) -> None:
    end = max(kill_at, now()) + _KILLING
    while not command.empty() and now() < end:
        if now() >= kill_at:
            command.signal(signal.SIGKILL)
        time.sleep(_POLL)


def _wait_for_the_end_of(parent: int) -> None:
    end = now() + _DYING
    while runs(parent) and now() < end:
        time.sleep(0.001)


def _tell(command: Target, leader: int, signum: int) -> None:
    """Send the first signal to each who has not got it from the kernel.

    To many a program a second one says: never mind the tidying up.
    """
    if sys.platform != "linux":
        command.signal(signum)
    elif isinstance(command, Group):
        told = {leader} if _told_by_kernel(leader) else set()
        # A member may fork just now, so repeat until there is no new one.
        while new := set(command.members()) - told:
            for pid in new:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signum)
            told |= new
    elif not _told_by_kernel(leader):
        command.signal(signum)
    # A stopped process must run to see it.
    command.signal(signal.SIGCONT)


def _told_by_kernel(leader: int) -> bool:
    return _rights(leader) == _rights(os.getpid())


def _rights(pid: int) -> list[bytes]:
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
    except OSError:
        return []
    return [line for line in lines if line.startswith(_RIGHTS)]


if __name__ == "__main__":
    main(sys.argv[1:])
