"""Watch over a command while something is held for it.

It knows nothing of locks: a lock is a `Deadline` here, and all that matters is how long it lasts.
One loop in the main thread fetches signals, reaps children and looks at the deadline.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from typing import Protocol

from consul_lock_cli.base.clock import now
from consul_lock_cli.process import libc
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.group import target
from consul_lock_cli.process.outcome import ProcessResult, StopReason
from consul_lock_cli.process.signals import ENDING, STOPPING, WAKE, Signals, stop_by, swallow_echo
from consul_lock_cli.process.terminal import Terminal
from consul_lock_cli.process.termination import Termination
from consul_lock_cli.spec.process import ProcessPolicy

# How often it is checked whether the rest of the group is gone: the end of another process's child
# sends no signal.
_POLL = 0.05

# The deadline is checked this often at least: it counts the time a machine sleeps, waits do not.
_IDLE = 1.0


class Deadline(Protocol):
    """What is held while the command runs."""

    def remaining(self) -> float:
        """Seconds until nothing of the command may run any more."""

    def lost(self) -> bool:
        """True if it is known already not to be held any more."""


class Supervisor:
    """Runs one child to its end, and its whole group.

    ``on_lost`` and ``on_overtime`` are called once, with the seconds until SIGKILL; ``on_kill``
    when it comes to that.
    """

    def __init__(
        self,
        child: Child,
        deadline: Deadline,
        signals: Signals,
        *,
        policy: ProcessPolicy,
        on_lost: Callable[[float], None] = lambda grace: None,
        on_overtime: Callable[[float], None] = lambda grace: None,
        on_kill: Callable[[], None] = lambda: None,
    ) -> None:
        self.terminal = Terminal()
        self._child = child
        self._policy = policy
        self._group = target(child.pid, foreground=self._policy.foreground)
        self._stopping = Termination(self._group, child.guardian, on_kill)
        self._deadline = deadline
        self._caught = signals.caught
        self._on_lost = on_lost
        self._on_overtime = on_overtime
        self._status: int | None = None
        self._lost = self._asked = False
        self._stopped: StopReason | None = None
        self._needed = 0.0
        self._overtime_at = math.inf

    def run(self, environment: dict[str, str | None]) -> ProcessResult:
        """Start the child; return when nothing of its group is left."""
        libc.adopt_orphans()
        self._lend()
        self._needed = self._policy.needed(self._deadline.remaining())
        if self._policy.max_runtime is not None:
            self._overtime_at = now() + self._policy.max_runtime
        self._look_at_deadline()
        if self._stopped is not None:
            # It was lost since it was acquired, as the process was frozen: the command never
            # begins.
            self._group.signal(signal.SIGKILL)
        self._child.go(environment)
        try:
            self._watch()
        except BaseException:
            # A fault of consul-lock: the lock will be released now.
            self._group.signal(signal.SIGKILL)
            raise
        if self._child.guardian is not None:
            self._child.guardian.dismiss()
        assert self._status is not None
        return self._ended(os.waitstatus_to_exitcode(self._status))

    def _watch(self) -> None:
        while not self._over():
            self._look_at_deadline()
            self._look_at_clock()
            fetched = libc.receive(self._caught, self._time_left())
            if fetched is not None:
                self._handle(*fetched)

    def _ended(self, code: int) -> ProcessResult:
        typed = self.terminal.lent and -code in (signal.SIGINT, signal.SIGQUIT)
        self.terminal.take_back()
        if code < 0:
            self.terminal.mend()
        return ProcessResult(
            code, self._lost, typed, self._child.failure(), self._stopped, self._asked
        )

    # -- the end --------------------------------------------------------------------------

    def _over(self) -> bool:
        self._reap()
        if self._status is None:
            return False
        # If it ended while consul-lock was stopped, the guardian killed it.
        self._look_at_deadline()
        # A process that is stopped here is stopped altogether.
        kept = self._policy.keep_leftovers and self._stopped is None
        if kept or self._group.empty():
            return True
        if not self._stopping.begun:
            # The command has ended and left processes behind.
            self._stopping.begin(self._policy.kill_after, signal.SIGTERM)
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
        elif os.WSTOPSIG(status) in (signal.SIGTTIN, signal.SIGTTOU) and self._lend(asked=True):
            self._group.signal(signal.SIGCONT)
        elif os.WSTOPSIG(status) in STOPPING:
            self._suspend(os.WSTOPSIG(status))

    # -- stopping it ----------------------------------------------------------------------

    def _look_at_deadline(self) -> None:
        if self._lost:
            return
        left = self._deadline.remaining()
        if not self._deadline.lost() and left > self._needed:
            self._be_watched(left)
            return
        self._lost = True
        then, kill_after = self._policy.on_lost, self._policy.kill_after
        # Unsafe times were asked for.
        grace = kill_after if self._policy.unsafe_timing else max(0.0, min(kill_after, left))
        if then.stops:
            self._stopped = StopReason.LOST
            self._stopping.begin(grace, self._policy.stop_signal)
        elif then.signum is not None:
            self._group.signal(then.signum)
        self._on_lost(grace)

    def _be_watched(self, left: float) -> None:
        """If consul-lock hangs, or is stopped, the guardian stops the command, a little later."""
        guardian = self._child.guardian
        if guardian is not None and self._policy.on_lost.stops and left < math.inf:
            guardian.watch(now() + left - self._needed / 2, now() + left)

    def _look_at_clock(self) -> None:
        if now() >= self._overtime_at:
            self._overtime_at = math.inf
            if self._status is None and not self._stopping.begun:
                self._stopped = StopReason.OVERTIME
                self._stopping.begin(self._policy.kill_after, self._policy.stop_signal)
                self._on_overtime(self._policy.kill_after)
        self._stopping.look()

    # -- signals --------------------------------------------------------------------------

    def _time_left(self) -> float:
        ends = [_IDLE, self._stopping.kill_at - now(), self._overtime_at - now()]
        if not self._lost:
            ends.append(self._deadline.remaining() - self._needed)
        if self._status is not None:
            ends.append(_POLL)
        return max(0.0, min(ends))

    def _handle(self, signum: int, by_kernel: bool) -> None:
        if signum in (signal.SIGCHLD, WAKE):
            return
        if by_kernel and self._policy.foreground:
            return  # a key at the terminal is for the whole group, so the command has it
        if signum in ENDING:
            swallow_echo(signum)
            self._asked = self._asked or signum == signal.SIGTERM or self._stopping.begun
        if signum == signal.SIGTERM:
            self._terminate()
        elif signum in STOPPING:
            # consul-lock stops only after the command has, which may refuse to.
            self._group.signal(signal.SIGTSTP)
        else:
            if signum == signal.SIGCONT:
                # A shell may have put this process into the foreground.
                self._lend()
            self._group.signal(signum)
            if signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
                self._group.signal(signal.SIGCONT)

    def _terminate(self) -> None:
        if self._stopping.begun:
            self._stopping.hurry()
        else:
            self._stopping.begin(self._policy.kill_after, signal.SIGTERM)

    def _lend(self, asked: bool = False) -> bool:
        return not self._policy.foreground and self.terminal.lend(self._child.pid, asked)

    def _suspend(self, signum: int) -> None:
        """The command was stopped from the terminal: stop too, so that the shell sees it."""
        self._group.signal(signal.SIGSTOP)
        typed = self.terminal.lent
        self.terminal.take_back()
        if self._child.guardian is not None:
            self._child.guardian.suspend()
        if not stop_by(signum) and not typed:
            # The sender elsewhere can continue this process, though no shell can.
            os.kill(os.getpid(), signal.SIGSTOP)
        # Here it goes on; nothing was renewed meanwhile, so the deadline is checked first.
        self._look_at_deadline()
        self._look_at_clock()
        self._lend()
        self._group.signal(signal.SIGCONT)
