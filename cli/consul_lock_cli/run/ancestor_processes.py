"""Locks of processes above this one that the environment says nothing of.

`sudo` and `env -i` do not pass on the variable with what ancestors hold.  What is left is what
each holder says of itself in Consul: its host and its process, which may be one above this one.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
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

_COMMAND, _PACKAGE = b"consul-lock", b"consul_lock_cli"
_PYTHON = re.compile(rb"(python|pypy)[0-9.]*t?")
# Options of an interpreter with a value: it follows in the same word, or is the next one.
_WITH_VALUE = b"WXmc"


def unnamed_ancestors(proc: Path = _PROC, pid: int | None = None) -> frozenset[int]:
    """The processes above this one that run consul-lock and that no variable speaks of.

    Nobody where there is no /proc, or where it hides the processes of others.
    """
    return frozenset(_above(proc, os.getppid() if pid is None else pid)) - named_ancestors()


def _above(proc: Path, pid: int) -> Iterator[int]:
    while pid > 0:
        try:
            words = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
            # The name of the program, which may have any character in it, is in brackets.
            parent = (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2]
        except OSError:
            return
        if _is_consul_lock(words):
            yield pid
        pid = int(parent.split()[1])


def _is_consul_lock(words: Sequence[bytes]) -> bool:
    """Whether this command line is one of consul-lock: by the name of the program, or of what a
    Python runs.  Whatever else has that name in an argument, such as a path, is not."""
    name = words[0].rpartition(b"/")[2]
    if name == _COMMAND:
        return True
    if not _PYTHON.fullmatch(name):
        return False
    rest = iter(words[1:])
    for word in rest:
        if not word.startswith(b"-") or word == b"-":
            # A script, or the folder of the package.
            folder, _, script = word.rstrip(b"/").rpartition(b"/")
            if script == b"__main__.py":
                script = folder.rpartition(b"/")[2]
            return script in (_COMMAND, _PACKAGE)
        if word.startswith(b"--"):
            continue
        for at, option in enumerate(word[1:], 2):
            if option in _WITH_VALUE:
                value = word[at:] or next(rest, b"")
                if option in b"mc":
                    return option in b"m" and value.partition(b".")[0] == _PACKAGE
                break
    return False


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
