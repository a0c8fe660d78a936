"""What every process of a torture run did and saw: JSON lines, one file for each that writes.

A line is written whole, by one `write` to a file that is open for appending, so a process that is
killed leaves no half of a line between others.  Times are those of CLOCK_BOOTTIME, which all
processes of a machine share, which nobody can step and which goes on while a machine sleeps.

Belief is never claimed for longer than it was seen.  A *look* reads the clock, asks `held`, and
reads the clock again: at some moment between the two it was so.  `held` never turns true again, so
from the end of one look that found it true to the beginning of a later one that did, its caller
believed itself to hold, however long the process was stopped in between.  A process that runs
under a lock counts as a holder for as long as it lives, so each of its beats is such a look.

| what | written by | fields |
|---|---|---|
| process | each process, first | role, long_lived |
| asks | before it waits | hold, kind, names, mode, weight, limit, lock_delay |
| begins | after the first look that found it held | the same, session, token, before, after |
| looks | each look | hold, before, after, held |
| ends | the last look, directly before the release | hold, before, after, held |
| released | after the release | hold, outcome: "released", or the error |
| quits | a wait that came to nothing | hold, why |
| gauge | now and then | descriptors, threads, rss (bytes) |
| exits | who has started a process | child, child_start, role, code, own, signals, stderr, hold |
| died | who has killed a process | child, child_start |
| abandons | who kills a wrapper and its guardian, before that | hold, wrapper, guardian |
| seen | the observer | before, after, resources: {name: [index, limit, {session: weight}]} |
| session | the observer | session, name |
| left | at the end | keys, sessions, services, processes |

``kind`` is lock, election, cron, multilock, semaphore, read_write or tree; ``side`` is "library",
or "go" for `consul lock`.  Records of a cron start have slot, attempt and ``retries`` besides,
those of a semaphore ``slots``, the indexes that it has.  ``own`` are the exit codes of a command,
``signals`` what a process may have died of.  ``hold`` of an ``abandons`` is that of the ``asks``:
from then on nothing is promised of what holds by it, which may live on.  ``asked`` names the hold
of the ``asks``, where one wait leads to several holds: in an election.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def boottime() -> float:
    """Seconds since the machine was started, also those in which it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def start_of(pid: int) -> int:
    """When a process was started, in ticks: with its pid, what it is known by.  0: it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])


@dataclass(frozen=True)
class Record:
    """One line."""

    what: str
    when: float
    pid: int
    start: int
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def process(self) -> tuple[int, int]:
        """The process that wrote it."""
        return self.pid, self.start


class HistoryWriter:
    """The history of this process, for all of its threads and tasks."""

    def __init__(self, folder: Path, role: str, *, long_lived: bool = False) -> None:
        self.pid, self.start = os.getpid(), start_of(os.getpid())
        self.who = f"{self.pid}.{self.start}"
        self.folder = folder
        path = folder / f"{role}-{self.who}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._mutex = threading.Lock()
        self._count = 0
        self.write("process", role=role, long_lived=long_lived)

    def write(self, what: str, **fields: Any) -> None:
        """Add one line."""
        line = {"what": what, "when": boottime(), "pid": self.pid, "start": self.start, **fields}
        os.write(self._descriptor, (json.dumps(line) + "\n").encode())

    def exits(
        self,
        role: str,
        child: tuple[int, int],
        code: int,
        stderr: str,
        *,
        own: Iterable[int] = (),
        signals: Iterable[int] = (),
        hold: str = "",
    ) -> None:
        """Say how a process has ended that this one has started."""
        self.write(
            "exits",
            role=role,
            child=child[0],
            child_start=child[1],
            code=code,
            stderr=stderr,
            own=list(own),
            signals=list(signals),
            hold=hold,
        )

    def new_hold(self) -> str:
        """A name that no other hold of the run has."""
        with self._mutex:
            self._count += 1
            return f"{self.who}.{self._count}"

    def gauge(self) -> None:
        """What this process uses now."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.write(
            "gauge",
            descriptors=_entries("/proc/self/fd"),
            threads=_entries("/proc/self/task"),
            rss=pages * os.sysconf("SC_PAGESIZE"),
        )


def _entries(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


def read_history(paths: Iterable[Path]) -> list[Record]:
    """All records, in order of their times.  A line that is not whole is an error, unless it is
    the last of its file: that of a process that was killed."""
    records = [record for path in paths for record in _records(path)]
    return sorted(records, key=lambda record: record.when)


def _records(path: Path) -> Iterator[Record]:
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            found = json.loads(line)
            yield Record(
                found.pop("what"), found.pop("when"), found.pop("pid"), found.pop("start"), found
            )


@dataclass(frozen=True)
class Fault:
    """What was done to the cluster, or to a process, and when."""

    kind: str
    begin: float
    end: float
    breaks_exclusion: tuple[str, ...] = ()
    """The names of locks of which nothing is promised until those that held at its end are done,
    ``*`` for all: what goes wrong with them is listed, not counted."""
    pids: tuple[int, ...] = ()
    """The processes it was done to, of those that write histories or were started by them."""

    def touches(self, begin: float, end: float) -> bool:
        """Whether it was active at any moment between the two."""
        return self.begin <= end and begin <= self.end

    def breaks(self, name: str) -> bool:
        """Whether it breaks what is promised of a lock."""
        return "*" in self.breaks_exclusion or name in self.breaks_exclusion


def read_faults(path: Path) -> list[Fault]:
    """The faults of a plan's log; lines about something else are left out."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [fault_of(line) for line in lines if "fault" in line]


def fault_of(line: Mapping[str, Any]) -> Fault:
    """A fault as its line in the log says: what was planned, and when it began and was healed.
    One that was never healed lasts to the end of the run."""
    healed = line.get("healed")
    return Fault(
        str(line["fault"]["kind"]),
        float(line["begun"]),
        float("inf") if healed is None else float(healed),
        tuple(line.get("breaks_exclusion", ())),
        tuple(line.get("pids", ())),
    )
