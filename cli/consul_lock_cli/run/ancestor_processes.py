"""Locks of processes above this one that the environment says nothing of.

`sudo` and `env -i` do not pass on the variable with what ancestors hold.  What is left is what
each holder says of itself in Consul: its host and its process, which may be one above this one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from consul_lock_cli.process.interrupt import OutOfTime
from consul_lock_cli.run.ancestors import deadlock, named_ancestors
from consul_lock_cli.spec.lock import LockKind, LockSpec

if TYPE_CHECKING:
    from consul_lock import Client, Survey
    from consul_lock_cli.run.execution import Execution

# Seconds to look whether a process above this one holds what is wanted.
_LOOK_MAX = 5.0

_PROC = Path("/proc")

# Words of a command line among which the program is: those of an interpreter come before it.
_PROGRAM = 4
_NAMES = (b"consul-lock", b"consul_lock")


def unnamed_ancestors(proc: Path = _PROC, pid: int | None = None) -> frozenset[int]:
    """The processes above this one that run consul-lock and that no variable speaks of.

    Nobody where there is no /proc, or where it hides the processes of others.
    """
    return frozenset(_above(proc, os.getppid() if pid is None else pid)) - named_ancestors()


def _above(proc: Path, pid: int) -> Iterator[int]:
    while pid > 0:
        try:
            words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")[:_PROGRAM]
            # The name of the program, which may have any character in it, is in brackets.
            parent = (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2]
        except OSError:
            return
        if any(name in word for name in _NAMES for word in words):
            yield pid
        pid = int(parent.split()[1])


def refuse_unnamed_ancestors(
    spec: LockSpec, wait: float | None, client: Client, act: Execution
) -> None:
    """Raise `Misuse` if the wait for this could only end when this process ends.

    Consul is asked only below a consul-lock that the environment says nothing of.
    """
    pids = unnamed_ancestors() if wait != 0 else frozenset[int]()
    if not pids:
        return
    from consul_lock import ConsulLockError, Survey

    with contextlib.suppress(ConsulLockError, OutOfTime):  # the acquire will say it
        act.interruptibly(lambda: refuse_ancestor_processes(Survey(client), spec, pids), _LOOK_MAX)


def refuse_ancestor_processes(survey: Survey, spec: LockSpec, pids: frozenset[int]) -> None:
    """Raise `Misuse` if one of these processes holds what is wanted: it ends after this one."""
    host = os.uname().nodename
    for place in spec.places():
        status = survey.status(place.key)
        above = [h for h in status.holders if h.host == host and h.pid in pids]
        slots = (spec.limit or 1) if spec.mode is LockKind.SEMAPHORE else 1
        if len(above) >= slots and not (place.shared and status.mode != "write"):
            raise deadlock(place.key, above[0].session)
