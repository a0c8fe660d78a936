"""A file in which all processes of a test write what they know, in the order in which it was so.

Whoever looks at something and writes what it saw does both under one file lock.  So the order of
the lines is the order of the looks, on one machine and without comparing clocks; the times are
there for people.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple


class Line(NamedTuple):
    """One thing that somebody saw or did."""

    when: float
    """By the clock that counts suspend."""
    what: str
    pid: int
    """Of the worker that it is about; 0 where it is about a session alone."""
    hold: int = 0
    """Number of the hold, by that worker's own count."""
    session: str = "-"
    token: int = 0
    slots: int = 0


class Page:
    """The end of the notebook, while nobody else can write."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def note(self, what: str, pid: int, *more: object) -> None:
        """Write one line; ``more`` are the further fields of `Line`."""
        when = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.file.write(" ".join(str(field) for field in (when, what, pid, *more)) + "\n")


class Notebook:
    """One file, for all processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_to = 0
        path.touch()

    @contextmanager
    def open(self) -> Iterator[Page]:
        """Keep everybody else from writing; what is seen inside is written in its true order."""
        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield Page(file)

    def news(self, page: Page) -> list[Line]:
        """What was written, by anybody, since this object was asked last."""
        page.file.flush()
        page.file.seek(self._read_to)
        written = page.file.read()
        self._read_to = page.file.tell()
        return [_parsed(line) for line in written.splitlines()]


def _parsed(line: str) -> Line:
    when, what, *rest = line.split()
    numbers: list[object] = [int(field) if field.isdecimal() else field for field in rest]
    return Line(float(when), what, *numbers)  # type: ignore[arg-type] # as `note` has written it
