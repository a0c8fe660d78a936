"""The processes that are there because of a command, and their memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tests.cli.command import children


class Helper(NamedTuple):
    """A process that consul-lock has started for itself, and its memory in megabytes."""

    pid: int
    resident: float
    """All pages it has, shared ones too."""
    proportional: float
    """Shared pages count for each of those who share them in equal parts."""


def helpers_of(mark: str, command: int, wrapper: int = 0) -> list[Helper]:
    """All processes that have ``mark`` in their environment, and their children, but ``command``.

    Not every helper keeps the environment of its parent, and only root sees that of a process that
    keeps its memory private: ``wrapper`` is one that is known.
    """
    everybody = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    marked = [pid for pid in everybody if mark.encode() in _bytes(Path(f"/proc/{pid}/environ"))]
    if wrapper:
        marked.append(wrapper)
    found = {*marked, *(child for pid in marked for child in children(pid))}
    return [
        Helper(
            pid,
            _megabytes(Path(f"/proc/{pid}/status"), "VmRSS:"),
            _megabytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:"),
        )
        for pid in sorted(found - {command, os.getpid()})
    ]


def _megabytes(file: Path, field: str) -> float:
    for line in text_of(file).splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def text_of(file: Path) -> str:
    """What is in it; nothing if it cannot be read."""
    return _bytes(file).decode(errors="replace")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
