"""The processes that are there because of a command, and their memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Helper(NamedTuple):
    """A process that is there because of us, and its memory in megabytes."""

    pid: int
    resident: float
    """All pages it has, shared ones too."""
    proportional: float
    """Shared pages count for each of those who share them in equal parts."""


def helpers_of(mark: str, command: int) -> list[Helper]:
    """All processes that have ``mark`` in their environment, but for ``command``."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in (command, os.getpid()):
            continue
        if mark.encode() in _bytes(entry / "environ"):
            found.append(
                Helper(
                    int(entry.name),
                    _megabytes(entry / "status", "VmRSS:"),
                    _megabytes(entry / "smaps_rollup", "Pss:"),
                )
            )
    return found


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
