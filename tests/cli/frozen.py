"""A process that does not die of SIGKILL: it is in state D, as one that waits for a dead disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consul_lock_cli.process.descendants import process_of
from tests.support.waiting import eventually


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """It is frozen by a cgroup of version 1, in which signals wait as it does.

    A frozen cgroup of version 2 does not help: SIGKILL thaws it.
    """
    group = _freezer() / f"consul-lock-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no process can be frozen here: {error}")
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        eventually(lambda: _state(pid) == "D")
        yield
    finally:
        (group / "freezer.state").write_text("THAWED")
        eventually(lambda: _state(pid) in "ZX")
        eventually(lambda: _removed(group))


def _state(pid: int) -> str:
    process = process_of(pid)
    return "X" if process is None else process.state


def _removed(group: Path) -> bool:
    """It can be removed when the last process has left it."""
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def _freezer() -> Path:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    for _, where, kind, options, *_ in mounts:
        if kind == "cgroup" and "freezer" in options.split(","):
            return Path(where)
    pytest.skip("no process can be frozen here: there is no freezer of version 1")
