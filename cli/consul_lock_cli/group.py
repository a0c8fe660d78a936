"""What signals go to: the command and everything it started that did not leave its group."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class Target(Protocol):
    """The processes that are stopped together."""

    def signal(self, signum: int) -> None:
        """Send a signal to all of them; nothing if there are none."""

    def empty(self) -> bool:
        """True if none of them can do anything any more."""


def target(pid: int, *, foreground: bool) -> Target:
    """The command whose first process has this pid."""
    return Alone(pid) if foreground else Group(pid)


class Group:
    """The group of a leader, who may have ended already."""

    def __init__(self, pgid: int) -> None:
        self.pgid = pgid

    def signal(self, signum: int) -> None:
        """Send a signal to all members; nothing if there are none."""
        try:
            os.killpg(self.pgid, signum)
        except ProcessLookupError:
            pass
        except PermissionError:
            pass  # all members run as another user (sudo): they are out of our reach

    def empty(self) -> bool:
        """True if nobody in it can do anything any more."""
        try:
            os.killpg(self.pgid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        # Twice, as a member may fork and end while we look.
        return self._only_zombies() and self._only_zombies()

    def members(self) -> list[int]:
        """The pids of those who can do something."""
        return [pid for pid, state in self._states() if state not in "ZX"]

    def _only_zombies(self) -> bool:
        # A dead member stays in the group until its parent, who may have left the group and
        # never look, has asked for its status.  It cannot do anything.
        states = [state for _, state in self._states()]
        return bool(states) and all(state in "ZX" for state in states)

    def _states(self) -> Iterator[tuple[int, str]]:
        for entry in Path("/proc").glob("[0-9]*"):
            state = _state(entry, self.pgid)
            if state:
                yield int(entry.name), state


def _state(process: Path, pgid: int) -> str:
    """The state letter of a process of this group, else an empty string."""
    try:
        # "pid (name) state parent group ...", and the name may hold anything.
        fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return fields[0].decode() if int(fields[2]) == pgid else ""


class Alone:
    """One process in a group that is not its own, so that only itself can be meant."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        # Whoever gets this pid later is somebody else.
        self._handle: int | None = None
        with contextlib.suppress(OSError, AttributeError):
            self._handle = os.pidfd_open(pid)

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
        if self._handle is None:
            os.kill(self._pid, signum)
        else:
            signal.pidfd_send_signal(self._handle, signum)
