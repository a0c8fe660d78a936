"""The way a command is stopped: a first signal, some time, and SIGKILL to what is left.

The first signal goes to the command's process group, once, as many a program takes a second one
for: at once.  What has left the group gets it when the command has gone, as it may be stopped
in order by then (`timeout`, `su` and a nested consul-lock pass it on), and at half of the time at
the latest.

    0.0 s   TERM to the group of the command
    1.2 s   the command has gone: TERM to each process that is left and was not in the group
    2.5 s   (or now, if it has not)
    5.0 s   what is left is first stopped, all of it, then killed: a process that forks as fast as
            it is killed would get away otherwise
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from typing import TypeAlias

from consul_lock_cli.base.clock import now
from consul_lock_cli.process.command_tree import CommandTree
from consul_lock_cli.process.descendants import Process, send

# Seconds until SIGKILL comes again: a member may have forked at the moment of the first.
_AGAIN = 0.05
# Seconds between two looks for processes that have not got the first signal yet.
_NEWCOMERS = 0.2
# How often to look for what was forked since, before SIGKILL; each round stops what it finds.
_ROUNDS = 50
# How often to look for what flees, and how many looks in a row may find nothing new.
_CATCHES, _MISSES = 500, 20
# Seconds that a process may take to die of SIGKILL before that is reported, and until SIGKILL and
# the report come again: nothing else can be done.
_DYING, _SELDOM, _REPORT = 3.0, 0.5, 60.0


Survivor: TypeAlias = tuple[Process | None, bool]
"""What cannot be stopped, None if it cannot be seen; and whether this user may signal it."""


class Termination:
    """The end of one command, once it has begun.

    ``on_plan`` is called with the moment at which SIGKILL is due, ``on_kill`` once when it comes,
    ``on_survivors`` with those who live on, now and then.
    """

    def __init__(
        self,
        tree: CommandTree,
        *,
        on_plan: Callable[[float], None] = lambda kill_at: None,
        on_kill: Callable[[], None] = lambda: None,
        on_survivors: Callable[[list[Survivor]], None] = lambda survivors: None,
    ) -> None:
        self.begun = False
        self.kill_at = math.inf
        """When SIGKILL is due, by the clock of `consul_lock_cli.base.clock`."""
        self._tree = tree
        self._on_plan = on_plan
        self._on_kill = on_kill
        self._on_survivors = on_survivors
        self._signum: int = signal.SIGTERM
        self._others_at = math.inf
        self._command_ended = False
        self._signalled: set[tuple[int, str | None]] = set()
        self._killed_at = math.inf
        self._report_at = math.inf

    @property
    def due(self) -> float:
        """When `look` has something to do."""
        return min(self.kill_at, self._others_at)

    def begin(self, grace: float, signum: int, *, first: bool = True) -> None:
        """First signal now, SIGKILL after ``grace`` seconds, or earlier if that was planned.

        With no grace it is SIGKILL now: somebody else may have the lock.  Without ``first`` the
        command has its signal already, so it is for the others alone.
        """
        again, self.begun = self.begun, True
        self.hurry(grace)
        if grace <= 0:
            self.look()
        elif not again:
            self._signum = signum
            if first:
                self._tree.signal_first(signum)
            # What is stopped must run to see the signal.
            self._tree.signal_first(signal.SIGCONT)
            self._others_at = now() + (self.kill_at - now()) / 2

    def take_over(self, kill_at: float, signum: int) -> None:
        """Go on with what another process has begun, which has sent the first signal."""
        self.begun = True
        self._signum = signum
        self.kill_at = min(self.kill_at, kill_at)
        self._others_at = now() + max(0.0, kill_at - now()) / 2

    def command_ended(self) -> None:
        """The command has gone: once this has begun, those beside it get the first signal now."""
        if self.begun and not self._command_ended:
            self._command_ended = True
            self._others_at = min(self._others_at, now())

    def others_have_it(self) -> None:
        """Those beside the command have had the first signal."""
        self._command_ended = True
        self._others_at = math.inf

    def hurry(self, grace: float = 0.0) -> None:
        """SIGKILL after ``grace`` seconds at the latest."""
        self.kill_at = min(self.kill_at, now() + grace)
        self._on_plan(self.kill_at)

    def look(self) -> None:
        """Do what is due."""
        moment = now()
        if moment >= self.kill_at:
            self._kill()
        elif moment >= self._others_at:
            self._others_at = moment + _NEWCOMERS
            self._signal_others()

    def _signal_others(self) -> None:
        for process in self._tree.beside():
            if (process.pid, process.start) not in self._signalled:
                self._signalled.add((process.pid, process.start))
                send(process, self._signum)
                send(process, signal.SIGCONT)

    def _kill(self) -> None:
        self._tree.signal_first(signal.SIGKILL)
        frozen: set[tuple[int, str | None]] = set()
        for _ in range(_ROUNDS):
            new = [p for p in self._tree.left() if (p.pid, p.start) not in frozen]
            if not new:
                break
            frozen.update((process.pid, process.start) for process in new)
            for process in new:
                send(process, signal.SIGSTOP)
        refused = [p for p in self._tree.left() if not send(p, signal.SIGKILL)]
        self._catch()
        moment = now()
        if self._killed_at == math.inf:
            self._killed_at = moment
            # What may not be signalled is known at once.
            self._report_at = moment if refused else moment + _DYING
            self._on_kill()
        if moment >= self._report_at and not self._tree.gone():
            self._report(refused)
            self._report_at = moment + _REPORT
        self.kill_at = moment + (_AGAIN if moment < self._killed_at + _DYING else _SELDOM)

    def _catch(self) -> None:
        """Kill what forks and ends, again and again: it is never there when it is to be stopped."""
        seen: set[tuple[int, str | None]] = set()
        missed = 0
        for _ in range(_CATCHES):
            new = [p for p in self._tree.fleeing() if (p.pid, p.start) not in seen]
            seen.update((process.pid, process.start) for process in new)
            for process in new:
                send(process, signal.SIGKILL)
            missed = 0 if new else missed + 1
            if missed == _MISSES:
                break

    def _report(self, refused: list[Process]) -> None:
        left = self._tree.left()
        refused_pids = {process.pid for process in refused}
        found: list[Survivor] = [(process, process.pid not in refused_pids) for process in left]
        self._on_survivors(found or [(None, False)])
