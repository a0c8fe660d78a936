"""A file in which all processes of a test write when they were under which lock."""

from __future__ import annotations

import fcntl
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """One line."""

    when: float
    """Monotonic clock of the machine, which all its processes share."""
    what: str
    lock: str
    who: str
    token: int


class Logbook:
    """Its order is that of the events: a line is stamped and written under a file lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    @contextmanager
    def under(self, lock: str, who: str, token: int | None) -> Iterator[None]:
        """Note the beginning and the end of a block that is run under a lock."""
        self._note("begin", lock, who, token)
        yield
        self._note("end", lock, who, token)

    def _note(self, what: str, lock: str, who: str, token: int | None) -> None:
        with self.path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{time.monotonic()} {what} {lock} {who} {token}\n")

    def entries(self, lock: str) -> list[Entry]:
        """What was noted of a lock, in order."""
        lines = [line.split(" ") for line in self.path.read_text().splitlines()]
        every = [Entry(float(a), b, c, d, int(e)) for a, b, c, d, e in lines]
        return [entry for entry in every if entry.lock == lock]

    def grants(self, lock: str) -> list[Entry]:
        """Who had the lock, in order.  Fails unless each ended before the next began, and tokens
        grew."""
        entries = self.entries(lock)
        begins, ends = entries[::2], entries[1::2]
        assert [entry.what for entry in begins] == ["begin"] * len(begins), entries
        assert [entry.what for entry in ends] == ["end"] * len(begins), entries
        assert [entry[3:] for entry in begins] == [entry[3:] for entry in ends], entries
        tokens = [entry.token for entry in begins]
        assert all(a < b for a, b in itertools.pairwise(tokens)), tokens
        return begins
