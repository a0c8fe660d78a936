"""What the callers of a test did and saw, in the order in which it was so.

A caller that looks at something and writes what it saw does both while nobody else can write.  So
the order of the events is the order of the looks, on one machine and without comparing clocks.
"""

from __future__ import annotations

import fcntl
import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple


class Event(NamedTuple):
    """One thing that somebody saw or did."""

    what: str
    who: str
    """The caller that it is about; "" where it is about a session alone."""
    lock: str = ""
    hold: int = 0
    """Number of the hold, by that caller's own count."""
    session: str = ""
    token: int = 0
    slots: int = 1
    when: float = 0.0
    """Monotonic clock of the machine, which all its processes share."""


class OpenLog(ABC):
    """What can be written to."""

    def note(self, what: str, who: str, **fields: Any) -> None:
        """Write one event; the further fields are those of `Event`."""
        self._add(Event(what, who, **fields, when=time.monotonic()))

    @abstractmethod
    def _add(self, event: Event) -> None:
        """Write it."""

    @contextmanager
    def under(self, lock: str, who: str, token: int | None) -> Iterator[None]:
        """Note the beginning and the end of a block that is run under a lock."""
        assert token is not None
        self.note("begin", who, lock=lock, token=token)
        yield
        self.note("end", who, lock=lock, token=token)


class EventLog(OpenLog):
    """For the threads and tasks of one process."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._events: list[Event] = []

    def _add(self, event: Event) -> None:
        with self._mutex:
            self._events.append(event)

    def events(self) -> list[Event]:
        """All of them."""
        with self._mutex:
            return list(self._events)


class SharedEventLog(OpenLog):
    """One file, for all processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_to = 0
        path.touch()

    @contextmanager
    def open(self) -> Iterator[OpenFile]:
        """Keep everybody else from writing; what is seen inside is written in its true order."""
        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield OpenFile(file)

    def _add(self, event: Event) -> None:
        with self.open() as file:
            file._add(event)

    def events(self, lock: str) -> list[Event]:
        """What was noted of a lock."""
        return [event for event in _parsed(self.path.read_text()) if event.lock == lock]

    def news(self, opened: OpenFile) -> list[Event]:
        """What was written, by anybody, since this object was asked last."""
        opened.file.flush()
        opened.file.seek(self._read_to)
        written = opened.file.read()
        self._read_to = opened.file.tell()
        return _parsed(written)


class OpenFile(OpenLog):
    """The end of the file, while nobody else can write."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def _add(self, event: Event) -> None:
        self.file.write(json.dumps(event) + "\n")


def _parsed(text: str) -> list[Event]:
    return [Event(*json.loads(line)) for line in text.splitlines()]
