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


def target(pid: int, *, foreground: bool, started: str | None = None) -> Target:
    """The command whose first process has this pid.

    ``started`` is what `start_of` has said of it, if it may have ended since: what has that
    pid now may be somebody else, and is no target.
    """
    return Alone(pid, started) if foreground else Group(pid, started)


def start_of(pid: int) -> str | None:
    """When this process was started, in ticks of the kernel; None: it is not there, or not Linux.

    No two processes that have the same pid one after the other have the same start.
    """
    fields = _stat(Path(f"/proc/{pid}"))
    return fields[19].decode() if fields else None


def runs(pid: int) -> bool:
    """Whether this process can still do anything, as opposed to a zombie."""
    fields = _stat(Path(f"/proc/{pid}"))
    if fields:
        return fields[0] not in _DEAD
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class Group:
    """The group of a leader, who may have ended already."""

    def __init__(self, pgid: int, started: str | None = None) -> None:
        self.pgid = pgid
        self._started = started

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

    def members(self) -> list[int]:
        """The pids of those who can do something."""
        if self._is_another():
            return []
        return [pid for pid, state in self._states() if state not in _DEAD]

    def _send(self, signum: int) -> None:
        if self._is_another():
            raise ProcessLookupError
        os.killpg(self.pgid, signum)

    def _is_another(self) -> bool:
        # The number is not given away before the group is empty, leader or not.
        return self._started is not None and start_of(self.pgid) not in (None, self._started)

    def _only_zombies(self) -> bool:
        # A dead member stays in the group until its parent, who may have left the group and
        # never look, has asked for its status.  It cannot do anything.
        states = [state for _, state in self._states()]
        return bool(states) and all(state in _DEAD for state in states)

    def _states(self) -> Iterator[tuple[int, bytes]]:
        for entry in Path("/proc").glob("[0-9]*"):
            fields = _stat(entry)
            if fields and int(fields[2]) == self.pgid:
                yield int(entry.name), fields[0]


_DEAD = (b"Z", b"X")


def _stat(process: Path) -> list[bytes]:
    """The fields of a process's status from its state letter on; none if it is not there."""
    try:
        # "pid (name) state parent group ...", and the name may hold anything.
        return (process / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


class Alone:
    """One process in a group that is not its own, so that only itself can be meant."""

    def __init__(self, pid: int, started: str | None = None) -> None:
        self._pid = pid
        self._started = started
        # A process that gets this pid later is another one.
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
        # Looked at after the handle was opened, so that it is the handle's.
        if self._started is not None and start_of(self._pid) != self._started:
            raise ProcessLookupError
        if self._handle is None:
            os.kill(self._pid, signum)
        else:
            signal.pidfd_send_signal(self._handle, signum)
