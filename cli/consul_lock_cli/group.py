"""A process group: the command and everything it started that did not leave the group."""

from __future__ import annotations

import os
from pathlib import Path


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
        return self._only_zombies()

    def _only_zombies(self) -> bool:
        # A dead member stays in the group until its parent, who may have left the group and
        # never look, has asked for its status.  It cannot do anything.
        states = [_state(entry, self.pgid) for entry in Path("/proc").glob("[0-9]*")]
        members = [state for state in states if state]
        return bool(members) and all(state in "ZX" for state in members)


def _state(process: Path, pgid: int) -> str:
    """The state letter of a process of this group, else an empty string."""
    try:
        # "pid (name) state parent group ...", and the name may hold anything.
        fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return fields[0].decode() if int(fields[2]) == pgid else ""
