"""Everything that a command has started, and which part of it has to be gone before its end.

    what was started               COMMAND ended by itself      a loss, a stop, a time limit
    COMMAND's process group        stopped (--keep-leftovers)   stopped
    other groups of its session    stopped                      stopped
    sessions of their own          go on (--daemons stop)       stopped (--daemons keep)

Who makes a session of its own and is left behind is a daemon, and somebody wanted it: a deploy
script that starts its service.  On a loss it is no different from any other process that works
on without the lock.
"""

from __future__ import annotations

import os
import signal

from consul_lock_cli.process.descendants import (
    LINUX,
    Process,
    children_of,
    descendants,
    process_of,
    send,
)
from consul_lock_cli.process.group import Target, target
from consul_lock_cli.process.parent import Parent
from consul_lock_cli.spec.process import Daemons, ProcessPolicy


class CommandTree:
    """The command whose first process is ``pid``, and what comes from it.

    ``caller`` is the group of consul-lock; None: that of this process.
    Elsewhere than on Linux it is the process group, as nobody else can be found.
    """

    def __init__(
        self, pid: int, parent: Parent, policy: ProcessPolicy, caller: int | None = None
    ) -> None:
        self.parent = parent
        self.stopped = False
        """It does not end by itself: all of it has to be gone."""
        self.alone = policy.foreground
        """The first signal is for the command's first process, and not for its group."""
        self.first: Target = target(pid, foreground=policy.foreground)
        """What the first signal goes to."""
        self._pid = pid
        self._policy = policy
        # That of this process, too.
        self._session = os.getsid(0)
        self._group = pid
        if policy.foreground:
            self._group = os.getpgrp() if caller is None else caller

    @property
    def spared(self) -> bool:
        """Whether there may be something that is to go on."""
        return self._spares_group or self._spares_sessions

    @property
    def _spares_group(self) -> bool:
        return self._policy.keep_leftovers and not self.stopped

    @property
    def _spares_sessions(self) -> bool:
        daemons = self._policy.daemons
        return daemons is Daemons.KEEP or (daemons is Daemons.WARN and not self.stopped)

    def gone(self) -> bool:
        """Whether nothing is left of what has to be gone; never while the command itself lives."""
        if not LINUX:
            return self._spares_group or self.first.empty()
        if self.parent.childless:
            return True
        # Twice, as a member may fork and end during the look.
        return self.spared and self._only_spared() and self._only_spared()

    def left(self) -> list[Process]:
        """What can still do something, and has to be gone."""
        return [process for process in self._all() if not self._goes_on(process)]

    def _only_spared(self) -> bool:
        """Whether only such processes are there that are to go on."""
        there = self._all()
        # The kernel says that somebody is there: who cannot be seen may be anybody.
        if not there or not all(map(self._goes_on, there)):
            return False
        # A process that forks and ends, again and again, is over before a look comes to it.  But
        # its parent has ended, so it has been adopted, or is about to be.
        seen = {process.pid for process in there}
        return self._adopted() <= seen

    def beside(self) -> list[Process]:
        """Those of `left` that the first signal has not reached."""
        return [process for process in self.left() if not self._in_first(process)]

    def fleeing(self) -> list[Process]:
        """Those of `left` that were adopted: a quicker look, which sees also what forks and ends,
        again and again, and is gone before `left` comes to it.
        """
        found = map(process_of, self._adopted())
        return [p for p in found if p is not None and not p.dead and not self._goes_on(p)]

    def _adopted(self) -> frozenset[int]:
        return children_of(self.parent.pid).difference(self.parent.helpers)

    def daemons(self) -> list[Process]:
        """What made a session of its own, and goes on."""
        if self.parent.childless or not self._spares_sessions:
            return []
        return [process for process in self._all() if self._is_daemon(process)]

    def put_aside(self) -> list[Process]:
        """Stop all that works, as the command has stopped; what was stopped by this."""
        keeps = self._policy.daemons is Daemons.KEEP
        there = [p for p in self._all() if not (keeps and self._is_daemon(p)) and p.state != "T"]
        return [process for process in there if send(process, signal.SIGSTOP)]

    def works(self) -> bool:
        """Whether something goes on of what `put_aside` has stopped."""
        keeps = self._policy.daemons is Daemons.KEEP
        there = [p for p in self._all() if not (keeps and self._is_daemon(p))]
        return any(process.works() for process in there)

    def signal_first(self, signum: int) -> None:
        """Signal the command's group, or the command alone, if that is not to go on."""
        if not self._spares_group:
            self.first.signal(signum)

    def _all(self) -> list[Process]:
        return descendants(self.parent.pid, self.parent.helpers) if LINUX else []

    def _goes_on(self, process: Process) -> bool:
        if self._is_daemon(process):
            return self._spares_sessions
        member = process.group == self._group and process.pid != self._pid
        return self._spares_group and member

    def _is_daemon(self, process: Process) -> bool:
        # In the foreground the command itself can make one, as it leads no group: that is its own.
        return process.session not in (0, self._session, self._pid)

    def _in_first(self, process: Process) -> bool:
        if self.alone:
            return process.pid == self._pid
        return process.group == self._pid
