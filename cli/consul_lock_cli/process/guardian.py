"""The guardian: the parent of the command, which stops it if consul-lock is killed.

    consul-lock ──► guardian ──► COMMAND and all that it starts

It is forked before any thread exists and runs no other program: what it needs is in its memory
(the policy, the lock, the address and the credentials), it shares that memory with consul-lock, and
an upgrade or a deleted virtual environment does not matter to it.  It adopts orphans, so
everything that the command starts stays below it, in whatever group or session.  It reports the
command's stops and its end, and when nobody is left.

It waits at the end of a pipe from consul-lock, which ends when consul-lock does, in any way.
Without a goodbye it sends the command the first signal, SIGKILL when its time is over, and when
the last process has died it releases what consul-lock held, in order.
If consul-lock has sent the first signal itself, the guardian makes sure that SIGKILL comes in time,
whether consul-lock has ended or hangs, such as on a stderr that nobody reads.  If it hangs or is
stopped before that, so that nothing is renewed, the guardian stops the command while no other
process can have the lock, and kills the hook that runs under the lock before the command.

Time line of a consul-lock that is stopped with SIGSTOP, with the defaults; the deadline is 28.5 s
after the last verification, and nobody else can have the lock for 1.5 s after it:

    0.0 s   the lock is verified; the guardian gets: act at 26.0 s, kill at 28.5 s
    1.0 s   consul-lock is stopped, and renews nothing any more
    23.5 s  here it would have sent SIGTERM itself, 5 s (``--kill-after``) before the deadline
    26.0 s  the guardian has heard nothing since: it sends SIGTERM
    28.5 s  it sends SIGKILL to what is left of the command
    30.0 s  another host may acquire the lock

Why it is the parent, and not a process beside the command: when consul-lock is killed, orphans
would go to pid 1, and nobody could say any more who came from the command, nor when the last
of them is dead.  The obvious thing, that the kernel kills the child with its parent
(PR_SET_PDEATHSIG), is used as well, for the death of the guardian, but reaches the first process
alone, not its children.  A thread would die, and stop, with consul-lock.
"""

from __future__ import annotations

import errno
import gc
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from consul_lock_cli.base.clock import now
from consul_lock_cli.process import guardian_process
from consul_lock_cli.process.guardian_process import (
    ENDED,
    FAILED,
    GO,
    GOODBYE,
    HOOK,
    LEASE,
    NOBODY,
    OVER,
    PLAN,
    RESUMED,
    SESSION,
    STARTED,
    STOPPED,
    SUSPENDED,
)
from consul_lock_cli.process.launch import Launch
from consul_lock_cli.process.parent import Ended, Event, Stopped
from consul_lock_cli.spec.process import ProcessPolicy

# Seconds.  It takes a thousandth, unless it is just about to act.
_LEAVING = 1.0

# Seconds.  Leases that differ by less are the same.
_SAME = 0.05

# Read from the pipe at once: more than it can hold.
_ALL = 1 << 20


class Guardian:
    """The guardian of a command, which it starts, from now to `dismiss`.

    ``release`` is called there when consul-lock has been killed and nothing of the command is
    left, with the sessions that were reported.  Raises OSError if the system refuses a
    process or a pipe.
    """

    def __init__(
        self,
        launch: Launch,
        policy: ProcessPolicy,
        release: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self.helpers: tuple[int, ...] = ()
        self.childless = False
        self.died = False
        """It was killed: consul-lock is the parent of the command now."""
        orders, self._orders = os.pipe()
        try:
            self._news, news = os.pipe()
        except OSError:
            os.close(orders)
            os.close(self._orders)
            raise
        # Its collector would write into pages that are shared.
        gc.freeze()
        try:
            self.pid = os.fork()
        except OSError:
            for each in (orders, self._orders, self._news, news):
                os.close(each)
            raise
        if self.pid == 0:
            os.close(self._orders)
            os.close(self._news)
            guardian_process.main(launch, policy, orders, news, release)
        os.close(orders)
        os.close(news)
        # It may be stopped: what does not fit into the pipe is not said.
        os.set_blocking(self._orders, False)
        self._heard = b""
        self._lease = 0.0
        self._hook = 0, math.inf
        self._planned = False
        self.command = self._started()
        """The pid of the command's process."""
        os.set_blocking(self._news, False)

    def _started(self) -> int:
        while b"\n" not in self._heard:
            part = os.read(self._news, _ALL)
            if not part:
                break
            self._heard += part
        line, _, self._heard = self._heard.partition(b"\n")
        kind, _, number = line.decode().partition(" ")
        if kind != STARTED:
            self.dismiss()
            self.reap()
            code = int(number) if kind == FAILED else errno.ECHILD
            raise OSError(code, os.strerror(code))
        return int(number)

    # -- what it reports ------------------------------------------------------------------------

    def poll(self) -> Iterator[Event]:
        """What has happened to the command since the last time."""
        # Before its news are read: what it has said to the end is there then.
        died = not self.died and self._has_died()
        with suppress(BlockingIOError):
            while part := os.read(self._news, _ALL):
                self._heard += part
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            kind, _, number = line.decode().partition(" ")
            if kind == STOPPED:
                yield Stopped(int(number))
            elif kind == ENDED:
                yield Ended(int(number))
            elif kind == NOBODY:
                self.childless = True
        self.died = self.died or died

    def _has_died(self) -> bool:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return True
        if pid and os.WIFSTOPPED(status):
            # Nobody would see the end of the command.
            os.kill(self.pid, signal.SIGCONT)
            return False
        return bool(pid)

    # -- what it is to know ---------------------------------------------------------------------

    def go(self) -> None:
        """The command is about to be run."""
        self._say(GO)

    def session(self, session: str) -> None:
        """A session of consul-lock, which is to be ended in order if consul-lock is killed."""
        self._say(f"{SESSION} {session}")

    def hook(self, number: int, until: float = math.inf) -> None:
        """A hook that consul-lock runs under what it holds: 1, it is about to begin; its pid; 0, it
        has ended.  Without further news before ``until`` it is killed."""
        before, lease = self._hook
        if number != before or abs(until - lease) > _SAME:
            self._hook = number, until
            self._say(f"{HOOK} {number} {until!r}")

    def watch(self, act_at: float, kill_at: float) -> None:
        """Send it until when the command may run, and when it has to be dead: without further news
        before the first, it stops the command.
        """
        # The moments differ a little each time they are reckoned.
        if not self._planned and abs(act_at - self._lease) > _SAME:
            self._lease = act_at
            self._say(f"{LEASE} {act_at!r} {kill_at!r}")

    def suspend(self) -> None:
        """Consul-lock is about to stop, as the command has: it can do no harm until both go on."""
        if not self._planned:
            self._lease = 0.0
            self._say(SUSPENDED)

    def resume(self) -> None:
        """Consul-lock goes on, and is about to let the command go on."""
        self._say(RESUMED)

    def expect(self, kill_at: float, stopped: bool) -> None:
        """Report that the first signal has been sent, and when SIGKILL is due; ``stopped``: the
        command has not ended by itself.
        """
        self._planned = True
        self._say(f"{PLAN} {kill_at!r} {int(stopped)}")

    def over(self) -> None:
        """The command has ended, and what is left of it is to go on."""
        self._say(OVER)

    def dismiss(self) -> None:
        """All is done, or the command will not start: the guardian ends."""
        self._say(GOODBYE)
        if self._orders >= 0:
            os.close(self._orders)
            self._orders = -1

    def reap(self) -> None:
        """After `dismiss`: see it out.

        Where nobody reaps orphans, such as in many a container, it would stay a zombie.
        """
        end = now() + _LEAVING
        while self._orders < 0 and now() < end:
            try:
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return
            except ChildProcessError:
                return
            time.sleep(0.001)

    def _say(self, message: str) -> None:
        """One line, which is written at once or not at all: it is shorter than PIPE_BUF."""
        if self._orders >= 0:
            # If it was killed itself, there is nothing to be done about it.
            with suppress(BrokenPipeError, BlockingIOError):
                os.write(self._orders, f"{message}\n".encode())
