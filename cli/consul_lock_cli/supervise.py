"""Watch over a command while something is held for it.

Knows nothing of locks: what is held is a `Lease`, and all that matters is how long it lasts.
One loop in the main thread fetches signals, reaps children and looks at the lease.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from consul_lock_cli import libc
from consul_lock_cli.child import Child
from consul_lock_cli.group import Group
from consul_lock_cli.signals import STOPPING, WAKE, Signals
from consul_lock_cli.terminal import Terminal

# How often we look whether the rest of the group is gone: the end of somebody else's child
# sends us no signal.
_POLL = 0.05

# Without anything else to do, we look at the lease this often at least.
_IDLE = 60.0


class Lease(Protocol):
    """What is held while the command runs."""

    def remaining(self) -> float:
        """Seconds until nothing of the command may run any more."""

    def lost(self) -> bool:
        """True if it is known already not to be held any more."""


class Ended(NamedTuple):
    """How it ended."""

    code: int
    """The command's exit code, or minus the signal that killed it."""
    lost: bool
    """The lease was lost while something still ran."""
    typed: bool
    """A signal that killed it was typed at the terminal, so it is meant for us too."""
    failure: OSError | None
    """Why it could not be run; None if it was."""


class Supervisor:
    """Runs one child to its end, and its whole group.

    ``kill_after``: seconds between the first signal and SIGKILL.  ``on_lost`` is told once,
    with the seconds until SIGKILL.
    """

    def __init__(
        self,
        child: Child,
        lease: Lease,
        signals: Signals,
        *,
        kill_after: float,
        on_lost: Callable[[float], None] = lambda grace: None,
    ) -> None:
        self.terminal = Terminal()
        self._child = child
        self._group = Group(child.pid)
        self._lease = lease
        self._caught = signals.caught
        self._kill_after = kill_after
        self._on_lost = on_lost
        self._status: int | None = None
        self._lost = False
        self._terminated = False
        self._kill_at: float | None = None

    def run(self, environment: dict[str, str | None]) -> Ended:
        """Let the child go; return when nothing of its group is left."""
        libc.adopt_orphans()
        self.terminal.lend(self._child.pid)
        self._child.go(environment)
        while not self._over():
            self._look_at_lease()
            self._kill_if_due()
            signum = libc.fetch(self._caught, self._patience())
            if signum is not None:
                self._handle(signum)
        assert self._status is not None
        return self._ended(os.waitstatus_to_exitcode(self._status))

    def _ended(self, code: int) -> Ended:
        typed = self.terminal.lent and -code in (signal.SIGINT, signal.SIGQUIT)
        self.terminal.take_back()
        if code < 0:
            self.terminal.mend()
        return Ended(code, self._lost, typed, self._child.failure())

    # -- the end --------------------------------------------------------------------------

    def _over(self) -> bool:
        self._reap()
        if self._status is None:
            return False
        if self._group.empty():
            return True
        if self._kill_at is None and not self._terminated:
            # The command has ended and left processes behind.
            self._stop(self._kill_after)
        return False

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._child.pid:
                self._leader(status)

    def _leader(self, status: int) -> None:
        if not os.WIFSTOPPED(status):
            self._status = status
        elif os.WSTOPSIG(status) in STOPPING:
            self._suspend()

    # -- stopping it ----------------------------------------------------------------------

    def _look_at_lease(self) -> None:
        if self._lost:
            return
        left = self._lease.remaining()
        if self._lease.lost() or left <= self._kill_after:
            self._lost = True
            grace = max(0.0, min(self._kill_after, left))
            self._stop(grace)
            self._on_lost(grace)

    def _stop(self, grace: float) -> None:
        """First signal now, SIGKILL after ``grace`` seconds, or earlier if that was planned."""
        kill_at = _now() + grace
        self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)
        self._terminated = True
        self._group.signal(signal.SIGTERM)
        if grace > 0:
            # What is stopped must run to see the signal; but not if its time is over.
            self._group.signal(signal.SIGCONT)

    def _kill_if_due(self) -> None:
        if self._kill_at is not None and _now() >= self._kill_at:
            self._group.signal(signal.SIGKILL)
            # Again soon: a member may have forked at that moment.
            self._kill_at = _now() + _POLL

    # -- signals --------------------------------------------------------------------------

    def _patience(self) -> float:
        ends = [_IDLE]
        if self._kill_at is not None:
            ends.append(self._kill_at - _now())
        if not self._lost:
            ends.append(self._lease.remaining() - self._kill_after)
        if self._status is not None:
            ends.append(_POLL)
        return max(0.0, min(ends))

    def _handle(self, signum: int) -> None:
        if signum in (signal.SIGCHLD, WAKE):
            return
        if signum == signal.SIGTERM:
            self._terminate()
        elif signum in STOPPING:
            # We stop when the command has: it may refuse to.
            self._group.signal(signal.SIGTSTP)
        else:
            self._group.signal(signum)
            if signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
                self._group.signal(signal.SIGCONT)

    def _terminate(self) -> None:
        if self._terminated:
            self._kill_at = _now()
        else:
            self._stop(self._kill_after)

    def _suspend(self) -> None:
        """The command was stopped from the terminal: stop too, so that the shell sees it."""
        self._group.signal(signal.SIGSTOP)
        self.terminal.take_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        # Here we go on; nothing was renewed meanwhile, so the lease is looked at first.
        self._look_at_lease()
        self._kill_if_due()
        self.terminal.lend(self._child.pid)
        self._group.signal(signal.SIGCONT)


def _now() -> float:
    # Counts the time a machine sleeps, as leases do.
    return time.clock_gettime(time.CLOCK_BOOTTIME)
