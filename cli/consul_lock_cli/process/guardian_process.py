"""The guardian's own life, from the fork to its end: see `consul_lock_cli.process.guardian`.

It imports nothing beyond this package and the values of `spec`, as all of it is in the memory of
each consul-lock that runs.  Only to release it calls what it was given, which loads the library:
after the last process of the command has died.
"""

from __future__ import annotations

import errno
import gc
import math
import os
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from consul_lock_cli.base.clock import now
from consul_lock_cli.process import libc
from consul_lock_cli.process.command_tree import CommandTree
from consul_lock_cli.process.descendants import send
from consul_lock_cli.process.group import Group
from consul_lock_cli.process.launch import Launch
from consul_lock_cli.process.parent import Continued, DirectParent, Ended, Stopped
from consul_lock_cli.process.termination import Termination
from consul_lock_cli.spec.process import ProcessPolicy

# The lines of the pipe from consul-lock, a word and what belongs to it.  Moments are seconds of
# `clock.now`.
GO = "go"
"""The command is about to be run."""
SESSION = "session"
"""The ID of a session follows, which is to be ended in order if consul-lock is killed."""
HOOK = "hook"
"""Whether consul-lock runs a hook under the lock: "1" when it is about to, the pid of its process
and group when it does, "0" when that has ended; and the moment at which the hook must be dead.  If
consul-lock is killed, the group is; but what has left it is not known, so what is held is left to
the end of the session then.  If no later moment comes in time, consul-lock hangs, or was stopped:
the group is killed, too."""
LEASE = "lease"
"""Two moments follow: up to the first the command may run unless more news come, and at the
second it must be dead.  Then consul-lock hangs, or was stopped."""
SUSPENDED = "suspended"
"""consul-lock stops itself, and the command with it: the lease matters only if any of it is
continued without consul-lock."""
RESUMED = "resumed"
"""consul-lock goes on, and lets the command go on."""
PLAN = "plan"
"""The first signal has been sent; the moment of SIGKILL follows, and 1 if the command is being
stopped, 0 if it has ended by itself."""
OVER = "over"
"""The command has ended, and what is left of it is to go on."""
GOODBYE = "goodbye"
"""There is nothing left to do."""

# The lines of the other pipe.
STARTED = "started"
"""The pid of the command's process follows."""
FAILED = "failed"
"""There is no such process: the number of an error follows."""
STOPPED = "stopped"
"""A signal has put the command aside; its number follows."""
ENDED = "ended"
"""The command has ended; its exit code follows, or minus the signal that killed it."""
NOBODY = "nobody"
"""Nothing that came from the command is left."""

_NAME = "lock-guardian"

# Read from the pipe at once: more than it can hold.
_ALL = 1 << 20

# Seconds.  How long to wait for consul-lock to kill, as long as it lives: not to be the first.
_THEIRS = 0.1
# How often it is checked whether the last process has gone that has to.
_POLL = 0.05
# How often it is checked whether something of a command that was put aside goes on all the same,
# when the lease is over; and how often consul-lock is continued until it says so.
_ASIDE, _CALL = 1.0, 0.2
# A wait without end; poll(2) has no such number.  Once the command is being stopped the clock is
# looked at more often: it counts the time a machine sleeps, poll(2) does not.
_LONG, _AWAKE = 1e6, 1.0

# Neither a key at the terminal nor a signal for all that is around ends it; only SIGKILL does.
_IGNORED = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM, signal.SIGUSR1,
    signal.SIGUSR2, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
)  # fmt: skip


def main(
    launch: Launch,
    policy: ProcessPolicy,
    orders: int,
    news: int,
    release: Callable[[Sequence[str]], None] | None,
) -> NoReturn:
    """Start the command's process, guard it, and end.  To be called right after the fork."""
    code, guardian = 1, None
    try:
        wrapper, caller = os.getppid(), os.getpgrp()
        # Stopped itself, it would never see the end of consul-lock.
        libc.die_with_parent(signal.SIGCONT)
        libc.adopt_orphans()
        try:
            pid = launch.fork(orders, news)
        except OSError as error:
            os.write(news, f"{FAILED} {error.errno or errno.EIO}\n".encode())
            os._exit(1)
        os.write(news, f"{STARTED} {pid}\n".encode())
        launch.close()
        _close_all_but(orders, news)
        # In the session of the command, and with the descriptor that it opens for it.
        tree = CommandTree(pid, DirectParent(pid), policy, caller)
        # No key at the terminal is meant for it, and no signal for the group of consul-lock.
        if policy.foreground:
            # The command is in that group.  When a process ends whose parent is of another group
            # of the session, and nobody else links the group to one, the kernel hangs up on all of
            # the group if one of them is stopped: on the script that runs consul-lock.
            os.setsid()
        else:
            os.setpgid(0, 0)
        wake = _settle(launch, orders, news)
        guardian = _GuardianProcess(tree, pid, wrapper, policy, orders, news, wake, release)
        guardian.run()
        code = 0
    except BaseException:  # noqa: BLE001 - a forked child must not unwind into its parent's code
        # As long as consul-lock lives, it sees that its guardian dies, and stops the command.
        if guardian is not None and guardian.gone:
            with suppress(BaseException):
                _kill_all(tree)
    os._exit(code)


def _kill_all(tree: CommandTree) -> None:
    """A fault of the guardian: nobody else would stop the command, and nobody keeps its lock."""
    tree.stopped = True
    while not tree.gone():
        for process in tree.left():
            send(process, signal.SIGKILL)
        select.select([], [], [], _POLL)
        for _ in tree.parent.poll():
            pass


def _settle(launch: Launch, orders: int, news: int) -> int:
    """Hear of nothing but two pipes; return one that is readable after SIGCHLD."""
    for signum in _IGNORED:
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    wake, waking = os.pipe()
    for end in (wake, waking, orders, news):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    libc.name_process(_NAME)
    libc.set_command_line(": ".join([_NAME, *_shown(launch)]))
    return wake


def _shown(launch: Launch) -> list[str]:
    """The command, if there is one."""
    return [" ".join(map(os.fsdecode, launch.command))] if launch.command else []


def _close_all_but(*kept: int) -> None:
    """No reader must wait for an end because of it, and no lock of a flock(1) be kept by it."""
    try:
        opened = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - names are all
    except OSError:
        opened = list(range(256))
    for descriptor in {0, 1, 2, *opened} - set(kept):
        with suppress(OSError):
            os.close(descriptor)
    # What it opens must not become one of the three.
    with suppress(OSError):
        while (nothing := os.open(os.devnull, os.O_RDWR)) < 2:
            pass
        if nothing > 2:
            os.close(nothing)


class _GuardianProcess:
    def __init__(
        self,
        tree: CommandTree,
        command: int,
        wrapper: int,
        policy: ProcessPolicy,
        orders: int,
        news: int,
        wake: int,
        release: Callable[[Sequence[str]], None] | None,
    ) -> None:
        self._command = command
        self._wrapper = wrapper
        self._policy = policy
        self._orders = orders
        self._news = news
        self._wake = wake
        self._release = release
        self._tree = tree
        self._parent = tree.parent
        self._stopping = Termination(tree)
        self._unsent = b""
        self._written = False
        self._said_nobody = False
        self._heard = b""
        self._sessions: list[str] = []
        self._hook = False
        self._hook_group: Group | None = None
        self._hook_until = math.inf
        self.gone = False
        """Consul-lock has ended, or has closed its pipe."""
        self._begun = False
        self._over = False
        self._ended = False
        self._goodbye = False
        self._act_at = self._kill_at = math.inf
        self._planned_at = math.inf
        self._suspended = False
        self._lease = math.inf
        self._look_at = self._call_at = math.inf

    def run(self) -> None:
        """Return when there is nothing left to do."""
        while True:
            self._wait()
            self._look_at_children()
            if self._goodbye and not self._begun:
                self._leave_unstarted()
                return
            if self._goodbye and self._over:
                return
            self._act()
            if self.gone and (self._over or self._tree.gone()):
                break
        if self._release is not None and not self._goodbye and not self._hook:
            gc.enable()
            self._release(self._sessions)

    def _wait(self) -> None:
        """Until something comes, or is due; and listen."""
        asleep = select.poll()
        asleep.register(self._wake, select.POLLIN)
        if not self.gone:
            asleep.register(self._orders, select.POLLIN)
            if self._unsent:
                asleep.register(self._news, select.POLLOUT)
        left = min(self._due() - now(), _AWAKE if self._stopping.begun else _LONG)
        for descriptor, _ in asleep.poll(max(0.0, 1000 * left)):
            if descriptor == self._wake:
                self._drain()
            elif descriptor == self._orders:
                self._listen()

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake, _ALL)

    def _due(self) -> float:
        """When there is something to do, whatever comes."""
        return min(self._hook_until + _THEIRS, self._due_of_command())

    def _due_of_command(self) -> float:
        if self._parent.childless:
            return self._call_at
        if self.gone:
            polled = now() + _POLL if self._ended and self._tree.spared else math.inf
            return min(self._stopping.due, polled)
        aside = min(self._look_at, self._call_at)
        return min(self._act_at, self._planned_at + _THEIRS, self._stopping.due, aside)

    # -- consul-lock ----------------------------------------------------------------------------

    def _listen(self) -> None:
        """Do as consul-lock says; the end of the pipe is its end."""
        try:
            part = os.read(self._orders, _ALL)
        except BlockingIOError:
            return
        self.gone = not part
        *lines, self._heard = (self._heard + part).split(b"\n")
        for line in lines:
            self._obey(*line.decode().split(" "))
        if self.gone:
            self._kill_hook()

    def _obey(self, kind: str, *more: str) -> None:
        if kind == GO:
            self._begun = True
        elif kind == SESSION:
            self._sessions.append(more[0])
        elif kind == HOOK:
            self._hear_of_hook(int(more[0]), float(more[1]))
        elif kind == LEASE:
            self._act_at, self._kill_at = float(more[0]), float(more[1])
            self._lease = self._act_at
        elif kind == SUSPENDED:
            self._be_put_aside()
        elif kind == RESUMED:
            self._suspended = False
            self._look_at = self._call_at = math.inf
        elif kind == PLAN:
            self._act_at, self._planned_at = math.inf, float(more[0])
            self._tree.stopped = more[1] == "1"
        elif kind == OVER:
            self._over = True
            self._act_at = self._planned_at = math.inf
        elif kind == GOODBYE:
            # If the command is not over, consul-lock has failed, and cannot stop it.
            self._goodbye = self.gone = True

    def _hear_of_hook(self, number: int, until: float) -> None:
        self._hook = number > 0
        self._hook_group = Group(number) if number > 1 else None
        self._hook_until = until

    def _kill_hook(self) -> None:
        self._hook_until = math.inf
        if self._hook_group is not None:
            self._hook_group.signal(signal.SIGKILL)

    def _report(self, line: str) -> None:
        self._unsent += f"{line}\n".encode()

    def _write(self) -> None:
        if self._unsent:
            with suppress(BlockingIOError, BrokenPipeError):
                self._unsent = self._unsent[os.write(self._news, self._unsent) :]
                self._written = True

    def _deliver(self) -> None:
        if self.gone:
            return
        self._write()
        # It waits for signals; and its pid may be another's when it has ended.
        told, self._written = self._written, False
        if told and os.getppid() == self._wrapper:
            with suppress(ProcessLookupError):
                os.kill(self._wrapper, signal.SIGCHLD)

    # -- the command ----------------------------------------------------------------------------

    def _look_at_children(self) -> None:
        for event in self._parent.poll():
            if isinstance(event, Stopped):
                self._report(f"{STOPPED} {event.number}")
            elif isinstance(event, Continued):
                self._call_back()
            elif isinstance(event, Ended):
                self._ended = True
                self._report(f"{ENDED} {event.number}")
                # Its status must not be lost with this process.
                self._write()
                self._call_back()
        if self._parent.childless and not self._said_nobody:
            self._said_nobody = True
            self._report(NOBODY)
        self._deliver()

    def _be_put_aside(self) -> None:
        self._suspended = True
        self._act_at, self._look_at = math.inf, self._lease
        if self._ended:
            # Consul-lock had not heard of it yet.
            self._call_back()

    def _call_back(self) -> None:
        """Something of the command goes on, or the command has ended, so consul-lock, which was put
        aside with it, has to go on.

        Nothing was renewed meanwhile, and somebody else may have the lock.  A `kill -CONT` for
        the command alone is easily sent, and does not reach consul-lock.
        """
        if not self._suspended:
            return
        self._suspended = False
        self._look_at, self._call_at = math.inf, now()
        # If it is not too late, consul-lock comes first: it may still hold the lock.
        soon = now() if now() >= self._kill_at else now() + _CALL
        self._act_at = max(self._lease, soon)

    def _look_aside(self) -> None:
        moment = now()
        if moment >= self._look_at:
            self._look_at = moment + _ASIDE
            if self._tree.works():
                self._call_back()
        if moment >= self._call_at:
            # Once is not enough: it may not have stopped yet.
            self._call_at = moment + _CALL
            if os.getppid() == self._wrapper:
                with suppress(ProcessLookupError):
                    os.kill(self._wrapper, signal.SIGCONT)

    def _act(self) -> None:
        if not self.gone:
            self._look_aside()
        moment = now()
        if moment >= self._hook_until + _THEIRS:
            self._kill_hook()
        if self.gone and not self._over:
            self._take_over()
        elif moment >= self._act_at:
            self._act_at = math.inf
            self._tree.stopped = True
            self._stopping.begin(max(0.0, self._kill_at - moment), self._policy.stop_signal)
        elif moment >= self._planned_at + _THEIRS:
            self._stopping.take_over(self._planned_at, self._policy.stop_signal)
            self._planned_at = math.inf
        if not self._over and not self._parent.childless:
            if self._ended:
                self._stopping.command_ended()
            self._stopping.look()

    def _take_over(self) -> None:
        """Consul-lock has been killed: what it would have done is to be done here."""
        self._act_at = math.inf
        if not self._begun:
            # It waited for the lock: the command does not run, and never will.
            self._stop_at_once()
        elif self._planned_at < math.inf:
            # Who has had the signal from consul-lock would take a second one for: at once.
            signalled = self._ended or now() > self._planned_at - self._policy.kill_after / 2
            self._stopping.take_over(self._planned_at, self._policy.stop_signal)
            self._planned_at = math.inf
            if signalled:
                self._stopping.others_have_it()
        elif not self._stopping.begun:
            self._tree.stopped = self._tree.stopped or not self._ended
            self._stopping.begin(self._grace(), self._policy.stop_signal)

    def _grace(self) -> float:
        """Nothing is renewed any more, and consul-lock may have been stopped before its end."""
        # Unsafe times were asked for.
        left = math.inf if self._policy.unsafe_timing else self._kill_at - now()
        return max(0.0, min(self._policy.kill_after, left))

    def _leave_unstarted(self) -> None:
        """Goodbye: a command that does not run yet never will."""
        self._stop_at_once()
        while not self._parent.childless:
            select.select([self._wake], [], [], 1.0)
            self._drain()
            for _ in self._parent.poll():
                pass

    def _stop_at_once(self) -> None:
        if not self._ended:
            # It has nothing to lose yet, and might be stopped: then it would not see the pipe.
            with suppress(ProcessLookupError):
                os.kill(self._command, signal.SIGKILL)
