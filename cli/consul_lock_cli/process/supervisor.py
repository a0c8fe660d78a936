"""Watch over a command while something is held for it.

Knows nothing of locks: what is held is a `Deadline`, and all that matters is how long it lasts.
One loop in the main thread fetches signals, hears of the child and looks at the deadline.
"""

from __future__ import annotations

import math
import os
import signal
from contextlib import suppress
from typing import Protocol

from consul_lock_cli.base.clock import now
from consul_lock_cli.process import libc
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.descendants import LINUX, Process, has_our_rights, send
from consul_lock_cli.process.outcome import ProcessResult, StopReason
from consul_lock_cli.process.parent import Ended, Stopped
from consul_lock_cli.process.signals import ENDING, STOPPING, WAKE, Signals, stop_by, swallow_echo
from consul_lock_cli.process.terminal import Terminal
from consul_lock_cli.process.termination import Survivor, Termination
from consul_lock_cli.spec.process import Daemons, ProcessPolicy

# How often it is checked whether what has to go is gone, if something else is to go on: the end of
# another process's child sends no signal.
_POLL = 0.05

# The deadline is checked this often at least: it counts the time a machine sleeps, waits do not.
_IDLE = 1.0


class Deadline(Protocol):
    """What is held while the command runs."""

    def remaining(self) -> float:
        """Seconds until nothing of the command may run any more."""

    def lost(self) -> bool:
        """True if it is known already not to be held any more."""


class Observer:
    """What wants to know how it goes.  Each is called in the main thread."""

    def lost(self, grace: float) -> None:
        """What is held was lost; SIGKILL comes in so many seconds, if at all."""

    def overtime(self, grace: float) -> None:
        """It ran for too long; SIGKILL comes in so many seconds."""

    def killed(self) -> None:
        """It got SIGKILL."""

    def unguarded(self) -> None:
        """Its guardian was killed, so it is being stopped."""

    def survive(self, survivors: list[Survivor]) -> None:
        """SIGKILL does not end these, so consul-lock waits.  Called again now and then."""

    def left(self, daemons: list[Process]) -> None:
        """It has ended, and these go on, each in a session of its own."""


class Supervisor:
    """Runs one child to its end, and everything that comes from it."""

    def __init__(
        self,
        child: Child,
        deadline: Deadline,
        signals: Signals,
        *,
        policy: ProcessPolicy,
        observer: Observer | None = None,
    ) -> None:
        self.terminal = Terminal()
        self._child = child
        self._policy = policy
        self._tree = child.tree
        self._group = child.tree.first
        self._observer = observer or Observer()
        self._stopping = Termination(
            self._tree,
            on_plan=self._plan,
            on_kill=self._observer.killed,
            on_survivors=self._observer.survive,
        )
        self._deadline = deadline
        self._caught = signals.caught
        self._code: int | None = None
        self._lost = self._asked = False
        self._stopped: StopReason | None = None
        self._needed = 0.0
        self._overtime_at = math.inf

    def run(self, environment: dict[str, str | None]) -> ProcessResult:
        """Let the child go; return when nothing is left of what has to be gone."""
        # What the command starts is to be found here if there is no guardian, or none any more.
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
            # A fault of consul-lock: what is held will be released now.
            self._tree.stopped = True
            self._stopping.begin(0.0, signal.SIGKILL)
            raise
        if self._child.guardian is not None:
            # It stays until what is held is released.
            self._child.guardian.over()
        daemons = self._tree.daemons() if self._policy.daemons is Daemons.WARN else []
        if daemons:
            self._observer.left(daemons)
        assert self._code is not None
        return self._ended(self._code)

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
        self._look_at_child()
        if self._code is None:
            return False
        # If it ended while consul-lock was stopped, the guardian killed it.
        self._look_at_deadline()
        if self._tree.gone():
            return True
        if not self._stopping.begun:
            # The command has ended and left processes behind.
            self._stopping.begin(self._policy.kill_after, signal.SIGTERM)
        self._stopping.command_ended()
        return False

    def _look_at_child(self) -> None:
        guarded = not self._child.orphaned
        for event in self._child.poll():
            if isinstance(event, Ended):
                self._code = event.number
            elif isinstance(event, Stopped):
                self._put_aside(event.number)
        self._reap_orphans()
        if guarded and self._child.orphaned:
            # The kernel has sent the first signal to the command alone: its parent has died.  It
            # forgets that it should when a process changes its user.
            told = has_our_rights(self._child.pid)
            self._tree.stopped = True
            self._tree.alone = self._tree.alone or (told and not self._stopping.begun)
            self._observer.unguarded()
            self._stopping.begin(self._policy.kill_after, self._policy.stop_signal, first=not told)

    def _reap_orphans(self) -> None:
        """Those of others: this process may be the first of a container, or have had children
        before it became consul-lock."""
        if self._tree.parent is not self._child.guardian:
            return  # the parent of the command reaps all that it may
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # if it was the guardian, that is seen at the next look

    def _put_aside(self, signum: int) -> None:
        if signum in (signal.SIGTTIN, signal.SIGTTOU) and self._lend(asked=True):
            self._group.signal(signal.SIGCONT)
        elif signum in STOPPING:
            self._suspend(signum)

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
            self._stop(StopReason.LOST, grace)
        elif then.signum is not None:
            self._group.signal(then.signum)
        self._observer.lost(grace)

    def _stop(self, why: StopReason, grace: float) -> None:
        self._stopped = why
        # What is stopped here, is stopped altogether.
        self._tree.stopped = True
        self._stopping.begin(grace, self._policy.stop_signal)

    def _plan(self, kill_at: float) -> None:
        if self._child.guardian is not None:
            self._child.guardian.expect(kill_at, self._tree.stopped)

    def _be_watched(self, left: float) -> None:
        """If consul-lock hangs, or is stopped, the guardian stops the command: a little later."""
        guardian = self._child.guardian
        if guardian is not None and self._policy.on_lost.stops and left < math.inf:
            guardian.watch(now() + left - self._needed / 2, now() + left)

    def _look_at_clock(self) -> None:
        if now() >= self._overtime_at:
            self._overtime_at = math.inf
            if self._code is None and not self._stopping.begun:
                self._stop(StopReason.OVERTIME, self._policy.kill_after)
                self._observer.overtime(self._policy.kill_after)
        self._stopping.look()

    # -- signals --------------------------------------------------------------------------

    def _time_left(self) -> float:
        ends = [_IDLE, self._stopping.due - now(), self._overtime_at - now()]
        if not self._lost:
            ends.append(self._deadline.remaining() - self._needed)
        if self._code is not None and (self._tree.spared or not LINUX):
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
            # Consul-lock stops when the command has: it may refuse to.
            self._group.signal(signal.SIGTSTP)
        else:
            if signum == signal.SIGCONT:
                # A shell may have put this process into the foreground.
                self._lend()
            self._group.signal(signum)
            if signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
                self._group.signal(signal.SIGCONT)

    def _terminate(self) -> None:
        self._tree.stopped = True
        if self._stopping.begun:
            self._stopping.hurry()
        else:
            self._stopping.begin(self._policy.kill_after, signal.SIGTERM)

    def _lend(self, asked: bool = False) -> bool:
        return not self._policy.foreground and self.terminal.lend(self._child.pid, asked)

    def _suspend(self, signum: int) -> None:
        """The command was stopped from the terminal: stop too, so that the shell sees it."""
        self._group.signal(signal.SIGSTOP)
        # What has left the group would work on, though nothing is renewed.
        aside = self._tree.put_aside()
        typed = self.terminal.lent
        self.terminal.take_back()
        if self._child.guardian is not None:
            self._child.guardian.suspend()
        # The rest of a pipeline did not see the key, and a shell waits until all of it has stopped.
        if not stop_by(signum, group=typed and signum == signal.SIGTSTP) and not typed:
            # The sender elsewhere can continue this process, though no shell can.
            os.kill(os.getpid(), signal.SIGSTOP)
        # Here it goes on; nothing was renewed meanwhile, so the deadline is checked first.
        if self._child.guardian is not None:
            self._child.guardian.resume()
        self._look_at_deadline()
        self._look_at_clock()
        self._lend()
        self._group.signal(signal.SIGCONT)
        for process in aside:
            send(process, signal.SIGCONT)
