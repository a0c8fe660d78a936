"""What a torture does: which processes work, and which faults happen when.

A plan is data, made from its seed before anything runs.  The same seed gives the same plan, a plan
can be written down and read again, and parts of it can be left out to find what is needed for a
failure.  How long servers take for an election is not in it: two runs of one plan are alike, not
equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Work:
    """One process that takes and gives back one lock during the whole run."""

    number: int
    host: str
    """Name of the host that it runs on."""
    caller: str
    """``thread``, ``task``, ``command`` (`consul-lock run`), ``cron``; ``go`` is `consul lock`."""
    primitive: str
    """``lock``, ``semaphore``, ``read_write``, ``tree`` or ``multilock``."""
    name: str
    """Of the lock.  Those that have the same name compete."""
    limit: int
    """Of a semaphore; otherwise 1."""
    seed: int
    """Of its own random numbers."""


@dataclass(frozen=True)
class Fault:
    """One fault, from ``at`` seconds after the start for ``seconds``, after which it is healed."""

    at: float
    kind: str
    """The name of a kind, such as ``kill leader``."""
    target: str
    """A host, a role (``leader``, ``follower``) or ``""``, as the kind says."""
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the run."""

    seed: int
    seconds: float
    works: tuple[Work, ...]
    faults: tuple[Fault, ...]

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The plan that `to_json` has written."""
        return cls(
            seed=data["seed"],
            seconds=data["seconds"],
            works=tuple(Work(**work) for work in data["works"]),
            faults=tuple(Fault(**fault) for fault in data["faults"]),
        )


@dataclass(frozen=True)
class Injected:
    """A fault that has happened.  Times are those of CLOCK_BOOTTIME, as in the histories."""

    fault: Fault
    target: str
    """The host that it hit, where the plan names a role."""
    begun: float
    healed: float
    """When everything served again."""
    breaks_exclusion: tuple[str, ...] = ()
    """The locks whose promise it breaks, ``*`` for all: a lock that was deleted by hand, or data
    that was set back.  From ``begun`` until those that held at ``healed`` are done, an overlap of
    them is counted apart."""
