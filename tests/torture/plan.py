"""What a torture does: which processes work, and which faults happen when.

A plan is data, made from its seed before anything runs.  The same seed gives the same plan, a plan
can be written down and read again, and parts of it can be left out to find what is needed for a
failure.  How long servers take for an election is not in it: two runs of one plan are alike, not
equal.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from tests.torture.workload import DEEDS, TREE, Job

PREFIX = "torture/"
"""Of all names of locks."""

TREES = tuple(f"{PREFIX}tree{below}" for below in TREE)
"""The names of the trees."""


@dataclass(frozen=True)
class Work:
    """One process that takes and gives back one lock during the whole run."""

    host: str
    job: Job


@dataclass(frozen=True)
class Fault:
    """One fault, from ``at`` seconds after the start for ``seconds``, after which it is healed.

    Those of the same ``at`` are there together, and are healed when the last of them is over.
    """

    at: float
    kind: str
    """The name of a `Kind`."""
    target: str
    """A host, a role (``leader``, ``follower``) or ``""``, as the kind says."""
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the run."""

    seed: int
    seconds: float
    raft_multiplier: int
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
            raft_multiplier=data["raft_multiplier"],
            works=tuple(Work(work["host"], _job(work["job"])) for work in data["works"]),
            faults=tuple(Fault(**fault) for fault in data["faults"]),
        )


def _job(data: Mapping[str, Any]) -> Job:
    return Job.from_json(json.dumps(data))


@dataclass(frozen=True)
class Injected:
    """A fault that has happened.  Times are those of CLOCK_BOOTTIME, as in the histories."""

    fault: Fault
    target: str
    """What it hit, where the plan names a role."""
    begun: float
    healed: float
    """When everything served again."""
    breaks_exclusion: tuple[str, ...] = ()
    """The locks whose promise it breaks, ``*`` for all: a lock that was deleted by hand, or data
    that was set back.  From ``begun`` until those that held at ``healed`` are done, an overlap of
    them is counted apart."""
    pids: tuple[int, ...] = ()
    """The workers that it was done to."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault."""

    name: str
    targets: tuple[str, ...] = ("",)
    seconds: tuple[float, float] = (0.0, 0.0)
    """The shortest and the longest."""


_SERVERS = ("leader", "follower")
_CLIENTS = ("client-1", "client-2")
_ANY = (*_SERVERS, *_CLIENTS)

KINDS = (
    Kind("kill", _ANY, (1.0, 20.0)),
    Kind("stop", _ANY, (1.0, 40.0)),
    Kind("leave", _ANY, (1.0, 10.0)),
    Kind("rolling restart"),
    Kind("full restart", seconds=(0.0, 10.0)),
    Kind("no quorum", seconds=(45.0, 45.0)),
    Kind("partition", _ANY, (2.0, 40.0)),
    Kind("cannot send", _ANY, (2.0, 40.0)),
    Kind("cannot receive", _ANY, (2.0, 40.0)),
    Kind("delay", seconds=(5.0, 20.0)),
    Kind("loss", seconds=(5.0, 20.0)),
    Kind("429", seconds=(2.0, 30.0)),
    Kind("disk full", _SERVERS, (5.0, 20.0)),
    Kind("snapshot restore", seconds=(2.0, 20.0)),
    Kind("maintenance", _CLIENTS, (2.0, 20.0)),
    Kind("sessions destroyed", seconds=(1.0, 1.0)),
    Kind("key deleted", seconds=(1.0, 5.0)),
    Kind("key overwritten", seconds=(1.0, 5.0)),
    Kind("clock step", seconds=(2.0, 10.0)),
    Kind("worker stopped", seconds=(1.0, 40.0)),
    Kind("worker killed", seconds=(1.0, 1.0)),
)
"""All kinds of faults, which `tests.torture.faults` performs."""

_NEEDS_NETWORK = frozenset(
    ("partition", "cannot send", "cannot receive", "delay", "loss", "disk full")
)


def needs_network(kind: str, target: str) -> bool:
    """Whether hosts on the loopback cannot have it.  The proxy before the second client agent can
    cut that off, and delay what it says."""
    by_proxy = kind in ("partition", "delay") and target in ("", _CLIENTS[1])
    return kind in _NEEDS_NETWORK and not by_proxy


CUTS_OFF_NOBODY = frozenset(("delay", "maintenance", "clock step"))
"""Kinds under which every holder reaches Consul, and its session lives."""

# Seconds between two faults: sometimes too few for all to be as before.
_GAPS = (0.5, 3.0, 8.0)

TOGETHER = 0.3
"""The share of faults that another one is injected together with."""

# What is injected beside another fault: it needs no answer of a server, which may have none now.
_BESIDE = (
    "delay", "loss", "429", "clock step", "worker stopped", "worker killed",
    "kill", "stop", "partition", "cannot send", "cannot receive",
)  # fmt: skip


def draw_faults(
    chance: random.Random,
    seconds: float,
    kinds: Collection[str] = (),
    longest: float = float("inf"),
    together: float = TOGETHER,
    network: bool = True,
) -> tuple[Fault, ...]:
    """Faults for so many seconds, one after the other, or two together; of these ``kinds``, by
    default of all.

    Each kind with each target has its turn before any comes again, not counting those that are
    injected beside another: a share of ``together`` of all has one.  None lasts for more than
    ``longest`` seconds; a kind that needs more is left out, and without ``network`` what needs one.
    """
    choices = [
        (kind, target)
        for kind in KINDS
        for target in kind.targets
        if (not kinds or kind.name in kinds) and kind.seconds[0] <= longest
        if network or not needs_network(kind.name, target)
    ]
    faults: list[Fault] = []
    at = chance.choice(_GAPS)
    left: list[tuple[Kind, str]] = []
    while choices and at < seconds:
        if not left:
            left = chance.sample(choices, len(choices))
        both = [left.pop()]
        beside = [choice for choice in choices if _fits_beside(both[0], choice)]
        if beside and together and chance.random() < together:
            both.append(chance.choice(beside))
        begun = [_drawn(chance, at, *choice, longest) for choice in both]
        faults += begun
        at += max(fault.seconds for fault in begun) + chance.choice(_GAPS)
    return tuple(faults)


def _drawn(chance: random.Random, at: float, kind: Kind, target: str, longest: float) -> Fault:
    shortest, most = kind.seconds
    lasts = round(chance.uniform(shortest, min(most, longest)), 1)
    return Fault(round(at, 1), kind.name, target, lasts)


def _fits_beside(first: tuple[Kind, str], second: tuple[Kind, str]) -> bool:
    """Whether a fault can be injected, and both be undone, while the first one is there."""
    (kind, target), (other, other_target) = first, second
    # The first fault may need the first client agent until its end, and its own target.
    able = other_target == "" or other_target == _CLIENTS[1] != target
    of_workers = kind.name.startswith("worker") and other.name.startswith("worker")
    return other.name in _BESIDE and other.name != kind.name and able and not of_workers


_GROUPS: dict[str, tuple[str, ...]] = {
    "lock": ("thread", "task", "command", "go"),
    "semaphore": ("thread", "task", "command"),
    "read_write": ("task", "thread", "command"),
    "tree": ("task", "thread"),
    "multilock": ("thread", "task"),
    "election": ("task", "thread", "command"),
    "cron": ("cron", "cron"),
}
"""By kind of lock, the callers that compete for one.  `consul lock` loses holds that are cut off
without noticing, and takes the slot of any dead holder at once: its semaphore is mixed in only
where no holder is cut off."""

_GO_GROUPS: dict[str, tuple[str, ...]] = {"lock": ("go",) * 4, "semaphore": ("go",) * 4}

RAFT_MULTIPLIERS = (1, 1, 5)
"""1 makes elections as fast as they can be, 5 is Consul's default."""

_TIMES = (
    {"ttl": 10.0, "lock_delay": 15.0},
    {"ttl": 10.0, "lock_delay": 5.0, "heartbeat": 1.0},
)
"""Those of sessions: by default, and with faster turns."""

KILLS = 0.1
"""The share of commands whose wrapper, or guardian, something is done to."""

_RETRIES = ({}, {"retry_crashed": 1}, {"retry_failed": 1}, {"retry_crashed": 2, "retry_failed": 1})
"""Those of a cron job."""


def make_plan(
    seed: int,
    seconds: float,
    *,
    kinds: Collection[str] = (),
    callers: Collection[str] = (),
    groups: int = 4,
    longest: float = float("inf"),
    raft_multiplier: int | None = None,
    together: float = TOGETHER,
    kills: float = KILLS,
    exemptions: bool = True,
    network: bool = True,
) -> Plan:
    """The plan of a seed: so many groups of workers, each of which competes for one lock.

    Without ``network`` hosts share the loopback, and there are fewer kinds of faults.  Without
    ``exemptions`` no cron slot is tried again, and no wrapper is killed together with its
    guardian.
    """
    chance = random.Random(seed)
    table = _GO_GROUPS if set(callers) == {"go"} else _GROUPS
    with_go = table is _GROUPS and bool(kinds) and CUTS_OFF_NOBODY.issuperset(kinds)
    if with_go:
        table = {**table, "semaphore": (*table["semaphore"], "go")}
    # Not of the seed's own chance: without exemptions the plan is otherwise the same.
    retries = random.Random(f"retries of {seed}").choice(_RETRIES) if exemptions else {}
    works: list[Work] = []
    for primitive in chance.sample(sorted(table), min(groups, len(table))):
        times = chance.choice(_TIMES)
        limit = chance.choice((2, 3)) if primitive == "semaphore" else 1
        first = chance.randrange(len(_CLIENTS))
        for number, caller in enumerate(table[primitive]):
            # A wrapper that is killed, or stopped, is a holder that is cut off.
            calm = with_go and primitive == "semaphore"
            job = Job(
                caller=caller,
                primitive="lock" if primitive == "cron" else primitive,
                name=f"{PREFIX}{primitive}",
                limit=limit,
                seed=chance.getrandbits(32),
                kills=kills if caller in ("command", "cron") and not calm else 0.0,
                deeds=DEEDS if exemptions else tuple(deed for deed in DEEDS if deed != "both"),
                **times,
                **(retries if caller == "cron" else {}),
            )
            if not callers or caller in callers:
                works.append(Work(_CLIENTS[(first + number) % len(_CLIENTS)], job))
    faults = draw_faults(chance, seconds, kinds, longest, together, network)
    multiplier = raft_multiplier or chance.choice(RAFT_MULTIPLIERS)
    return Plan(seed, seconds, multiplier, tuple(works), faults)
