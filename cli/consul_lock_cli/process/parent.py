"""The parent of a command, which sees its stops, its end, and when nothing is left of it.

That is the guardian.  Consul-lock itself is the parent if there is none, and becomes it if
the guardian is killed.  Each adopts orphans, so every process that comes from the command
ends up as a child of its parent: the kernel says that it has no child any more (ECHILD) exactly
when nothing is left.  No look at /proc could: it misses who forks during the look, and
hides processes from some users.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Protocol

from consul_lock_cli.process.descendants import children_of


class Event:
    """Something that has happened to the command.  A NamedTuple would cost each start more."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment] # nobody needs one

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.number})"


class Stopped(Event):
    """A signal has put the command aside: its number."""


class Continued(Event):
    """It goes on after a stop; the number is that of SIGCONT."""


class Ended(Event):
    """The command has ended: its exit code, or minus the signal that killed it."""


# For a change of the status, which stays there.
_LOOK = os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG | os.WNOWAIT

# To take a status that was seen, and no other one: a command may go on, and end, meanwhile.
_TAKE = {os.CLD_STOPPED: os.WSTOPPED, os.CLD_CONTINUED: os.WCONTINUED}


class Parent(Protocol):
    """The process that the kernel informs."""

    @property
    def pid(self) -> int:
        """Below it is what comes from the command, and nothing else but ``helpers``."""

    @property
    def helpers(self) -> Collection[int]:
        """Children of it that do not come from the command."""

    @property
    def childless(self) -> bool:
        """Nothing that comes from the command is left, by the last `poll`."""

    def poll(self) -> Iterator[Event]:
        """What has happened to the command since the last time."""


class DirectParent:
    """This process is the parent.  ``helpers``: children that it had before, or has beside it."""

    def __init__(self, command: int, helpers: Collection[int] = ()) -> None:
        self.pid = os.getpid()
        self.helpers = helpers
        self.childless = False
        self._command = command

    def poll(self) -> Iterator[Event]:
        """What has happened to the command; its end is used before its status is given up."""
        while True:
            try:
                seen = self._look()
            except ChildProcessError:
                self.childless = True
                return
            if seen is None:
                return
            if seen.si_code in _TAKE:
                # It may be another stop by now.  Who uses it may take long: consul-lock stops, too.
                taken = _take(seen.si_pid, _TAKE[seen.si_code])
                if taken is not None and taken.si_pid == self._command:
                    stopped = taken.si_code == os.CLD_STOPPED
                    yield (Stopped if stopped else Continued)(taken.si_status)
                continue
            if seen.si_pid == self._command:
                killed = seen.si_code != os.CLD_EXITED
                yield Ended(-seen.si_status if killed else seen.si_status)
            _take(seen.si_pid, os.WEXITED)

    def _look(self) -> os.waitid_result | None:
        """A child whose status has changed.  Raises ChildProcessError if there is none at all."""
        if not self.helpers:
            return os.waitid(os.P_ALL, 0, _LOOK)
        # The status of a helper is for somebody else.
        children = children_of(self.pid).difference(self.helpers)
        if not children:
            raise ChildProcessError
        for pid in children:
            with suppress(ChildProcessError):
                if (seen := os.waitid(os.P_PID, pid, _LOOK)) is not None:
                    return seen
        return None


def _take(pid: int, status: int) -> os.waitid_result | None:
    """A status of this kind, which is given up; None: there is none any more."""
    with suppress(ChildProcessError):  # the kernel's word if it has ended since
        return os.waitid(os.P_PID, pid, status | os.WNOHANG)
    return None
