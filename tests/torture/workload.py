"""What the processes of a torture run do: which program each is, and what is common to them.

A process works on one name until the file ``stop`` is in the folder of the run, ends its turn,
and itself.  It reads where Consul is from CONSUL_HTTP_ADDR.  Most of its time it sleeps.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.torture.history import HistoryWriter, boottime
from tests.torture.pace import rest

BEAT = 0.1
"""Seconds between two looks: what is shorter is not seen."""

HOLDS = (0.0, 0.3, 1.0, 2.5)
"""Seconds of a hold."""

PAUSES = (0.05, 0.5, 1.5)
"""Seconds between two turns."""

DEEDS = ("kill", "kill", "term", "guardian", "stop", "stop", "both")
"""What is done to a wrapper, or to its guardian; ``both`` are killed so that neither sees the death
of the other, and nothing is promised of their command then."""

GAUGE = 3.0
"""Seconds between two looks at what a process uses."""

TREE = ("", "/a", "/a/b", "/c")
"""The names of trees, below that of the job."""

PROGRAMS = {
    "thread": "program_thread",
    "task": "program_task",
    "command": "program_command",
    "cron": "program_command",
    "go": "program_command",
}


@dataclass(frozen=True)
class Job:
    """What one process works on."""

    caller: str
    """thread, task, command, cron or go."""
    primitive: str
    """lock, election, semaphore, read_write, tree or multilock."""
    name: str
    limit: int = 1
    seed: int = 0
    ttl: float = 10.0
    lock_delay: float = 15.0
    heartbeat: float | None = None
    holds: tuple[float, ...] = HOLDS
    """Seconds that a hold may take."""
    kills: float = 0.0
    """The share of its commands whose wrapper is disturbed, by one of the deeds."""
    deeds: tuple[str, ...] = DEEDS
    retry_crashed: int = 0
    retry_failed: int = 0

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` has written."""
        found = json.loads(text)
        lists = {each: tuple(found[each]) for each in ("holds", "deeds") if each in found}
        return cls(**{**found, **lists})

    def to_json(self) -> str:
        """The same as one argument of a process."""
        return json.dumps(asdict(self))

    @property
    def retries(self) -> bool:
        """Whether a cron slot may be tried again."""
        return self.retry_crashed > 0 or self.retry_failed > 0

    @property
    def kind(self) -> str:
        """What the histories call it."""
        return "cron" if self.caller == "cron" else self.primitive


def argv_of(job: Job, folder: Path) -> list[str]:
    """The process that does it; it is to run in the root of the project."""
    module = f"tests.torture.{PROGRAMS[job.caller]}"
    return [sys.executable, "-m", module, str(folder), job.to_json()]


def observer_argv(folder: Path, prefix: str) -> list[str]:
    """The process that follows all keys below a prefix."""
    return [sys.executable, "-m", "tests.torture.program_observer", str(folder), prefix]


@dataclass(frozen=True)
class Turn:
    """One acquisition that is to be tried."""

    names: tuple[str, ...]
    mode: str = ""
    weight: int = 1
    slots: bool = False
    """Whether to ask for the index of the slot, too."""


def turn_of(job: Job, chance: random.Random) -> Turn:
    """What to take next."""
    match job.primitive:
        case "semaphore":
            weight = 2 if job.limit > 1 and chance.random() < 0.15 else 1
            return Turn((job.name,), weight=weight, slots=weight == 1 and chance.random() < 0.5)
        case "read_write":
            return Turn((job.name,), mode="read" if chance.random() < 0.6 else "write")
        case "tree":
            return Turn((job.name + chance.choice(TREE),), mode="write")
        case "multilock":
            parts = chance.sample(("a", "b", "c"), chance.choice((1, 2, 2, 3)))
            return Turn(tuple(f"{job.name}/{part}" for part in sorted(parts)))
    return Turn((job.name,))


def stop(folder: Path) -> None:
    """Let all of them finish."""
    (folder / "stop").touch()


class Diary:
    """The history of a worker, in words of its turns."""

    def __init__(self, folder: Path, job: Job, *, long_lived: bool = True) -> None:
        self.folder = folder
        self.job = job
        self.writer = HistoryWriter(folder, job.caller, long_lived=long_lived)
        self._until = folder / "stop"

    @property
    def over(self) -> bool:
        """Whether no further turn is to be begun."""
        return self._until.exists()

    def asks(self, turn: Turn) -> str:
        """A wait begins; the name of the hold that it may lead to."""
        hold = self.writer.new_hold()
        self.writer.write("asks", hold=hold, **self.about(turn))
        return hold

    def about(self, turn: Turn) -> dict[str, Any]:
        """What is tried, for a record."""
        return {
            "kind": self.job.kind,
            "names": turn.names,
            "mode": turn.mode,
            "weight": turn.weight,
            "limit": self.job.limit,
            "lock_delay": self.job.lock_delay,
        }

    def begins(self, hold: str, turn: Turn, lock: Any, more: Mapping[str, Any]) -> bool:
        """The first look; False if it is lost already."""
        before, held, after = look(lock)
        if not held:
            self.writer.write("quits", hold=hold, why="missed")
            return False
        self.writer.write(
            "begins",
            hold=hold,
            session=lock.session_id or "",
            token=lock.token or 0,
            before=before,
            after=after,
            **self.about(turn),
            **more,
        )
        return True

    def looks(self, hold: str, lock: Any, what: str = "looks") -> bool:
        """A further look."""
        before, held, after = look(lock)
        self.writer.write(
            what if held else "looks", hold=hold, before=before, after=after, held=held
        )
        return held

    def gauge_until_over(self) -> None:
        """Write down what this process uses, as long as it works."""
        due = time.monotonic()
        while not self.over:
            if time.monotonic() >= due:
                self.writer.gauge()
                due += GAUGE
            rest(BEAT)


def look(lock: Any) -> tuple[float, bool, float]:
    """The time before it, what `held` says, and the time after it."""
    before = boottime()
    held = bool(lock.held)
    return before, held, boottime()
