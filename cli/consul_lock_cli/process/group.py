"""What a first signal goes to: the command's process group, or the command alone."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Protocol

from consul_lock_cli.process.descendants import everybody, start_of


class Target(Protocol):
    """The processes that are signalled together."""

    def signal(self, signum: int) -> None:
        """Send a signal to all of them; nothing if there are none."""

    def empty(self) -> bool:
        """True if none of them can do anything any more."""


def target(pid: int, *, foreground: bool) -> Target:
    """The command whose first process has this pid, while it is certainly there."""
    return Alone(pid) if foreground else Group(pid)


class Group:
    """The group of a leader, who may end: what has that pid afterwards is another process, whose
    group is no target.
    """

    def __init__(self, pgid: int) -> None:
        self.pgid = pgid
        self._started = start_of(pgid)

    def signal(self, signum: int) -> None:
        """Send a signal to all members; nothing if there are none."""
        try:
            self._send(signum)
        except ProcessLookupError:
            pass
        except PermissionError:
            pass  # all members run as another user (sudo): they are out of reach

    def empty(self) -> bool:
        """True if nobody in it can do anything any more."""
        try:
            self._send(0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        # Twice, as a member may fork and end during the look.
        return self._only_zombies() and self._only_zombies()

    def _send(self, signum: int) -> None:
        # The number is not given away before the group is empty, leader or not.
        if self._started is not None and start_of(self.pgid) not in (None, self._started):
            raise ProcessLookupError
        os.killpg(self.pgid, signum)

    def _only_zombies(self) -> bool:
        # A dead member stays in the group until its parent, who may have left the group and
        # never look, has asked for its status.  It cannot do anything.
        dead = [process.dead for process in everybody() if process.group == self.pgid]
        return bool(dead) and all(dead)


class Alone:
    """One process in a group that is not its own, so that only itself can be meant."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        # A process that gets this pid later is another one.
        self._handle: int | None = None
        with contextlib.suppress(OSError, AttributeError):
            self._handle = os.pidfd_open(pid)
        self._started = start_of(pid)

    def signal(self, signum: int) -> None:
        """Send it a signal, if it has not ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._send(signum)

    def empty(self) -> bool:
        """True if it has ended and was reaped."""
        try:
            self._send(0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False

    def _send(self, signum: int) -> None:
        if self._handle is not None:
            signal.pidfd_send_signal(self._handle, signum)
        elif self._started is not None and start_of(self._pid) not in (None, self._started):
            raise ProcessLookupError
        else:
            os.kill(self._pid, signum)
