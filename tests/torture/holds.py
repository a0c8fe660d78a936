"""Holds: who believed to hold what, and for how long at least, as the histories say."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.torture.history import Record

ALL = 2**31 - 1
"""What a writer takes of what readers and writers share."""

READ, WRITE = "read", "write"
"""How a read/write lock is held."""


RELEASED = "released"
"""The outcome of a hold of which nobody has said that it was lost."""

_NOT_RELEASED = "not released, Consul frees it later"
"""What a wrapper warns of that could not ask Consul whether it still held."""

_KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}


@dataclass(frozen=True)
class Span:
    """A time in which one process certainly believed, or certainly lived under the lock."""

    begin: float
    end: float
    process: tuple[int, int]


@dataclass(frozen=True)
class Claim:
    """What a hold takes of one thing: so much of so much."""

    name: str
    weight: int
    limit: int


@dataclass
class Wait:
    """A caller that waits, from its question to its answer."""

    id: str
    kind: str
    names: tuple[str, ...]
    side: str
    process: tuple[int, int]
    begin: float
    end: float = math.inf
    """When it got the lock, gave up or died."""
    outcome: str = ""
    """begins, quits, died; "" if nothing came of it."""


@dataclass
class Hold:
    """One acquisition, and everybody who relied on it: a thread, or a command and its children."""

    id: str
    kind: str
    side: str
    claims: tuple[Claim, ...]
    session: str
    token: int
    asked: float
    asked_by: str
    """The wait that led to it: several holds of an election have one."""
    looks: dict[tuple[int, int], list[tuple[float, float]]] = field(default_factory=dict)
    """By process: (before, after) of each look that found it held."""
    over: float = math.inf
    """From then on it certainly did not believe: a look that found it lost, or its last one."""
    ended: str = ""
    """How: "ends", "lost" or "died"; "" if the history does not say."""
    lock_delay: float = math.inf
    """Seconds for which Consul keeps others out when its session has ended."""
    outcome: str = ""
    """What its end was said to be: "released", "lost", an error; "" if nothing was said."""
    slot: str = ""
    attempt: int = 0
    retries: bool = False
    abandoned: float = math.inf
    """From then on nobody stops what relies on it, and nothing is promised of that: its wrapper and
    its guardian were killed together."""

    @property
    def began(self) -> float:
        """When the first of its looks was over."""
        return min(looks[0][1] for looks in self.looks.values())

    @property
    def last_seen(self) -> float:
        """When the last of its looks began: until then it certainly believed.  What is seen of it
        after it was abandoned does not count."""
        return min(self.abandoned, max(looks[-1][0] for looks in self.looks.values()))

    def spans(self, *, abandoned: bool = False) -> list[Span]:
        """The times in which it certainly believed, of all its processes together; ``abandoned``:
        and those in which they lived on after nothing was promised of it any more."""
        until = math.inf if abandoned else self.abandoned
        found = [
            Span(looks[0][1], min(looks[-1][0], until), process)
            for process, looks in self.looks.items()
            # One look whose moment is not known shows nothing: its end lies before its beginning.
            if looks[0][1] <= min(looks[-1][0], until)
        ]
        return _joined(sorted(found, key=lambda span: span.begin))

    def __str__(self) -> str:
        where = ", ".join(claim.name for claim in self.claims)
        about = f"session {self.session[:8]}, token {self.token}"
        return f"{self.id} ({self.side} {self.kind} {where}, {about})"


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and span.begin <= joined[-1].end:
            last = joined.pop()
            joined.append(Span(last.begin, max(last.end, span.end), last.process))
        else:
            joined.append(span)
    return joined


def claims_of(kind: str, names: Iterable[str], mode: str, weight: int, limit: int) -> list[Claim]:
    """What a hold of this kind takes.  A tree lock reads each node above its own."""
    if kind == "semaphore":
        return [Claim(name, weight, limit) for name in names]
    if kind == "read_write":
        return [Claim(name, 1 if mode == READ else ALL, ALL) for name in names]
    if kind == "tree":
        return [claim for name in names for claim in _path(name)]
    return [Claim(name, 1, 1) for name in names]


def _path(name: str) -> list[Claim]:
    parts = name.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    return [*(Claim(node, 1, ALL) for node in above), Claim(name, ALL, ALL)]


class Holds:
    """All holds and waits of some histories."""

    def __init__(self, records: Iterable[Record], died: dict[tuple[int, int], float]) -> None:
        """``died`` is when processes died without having a word in it."""
        self.holds: dict[str, Hold] = {}
        self.waits: dict[str, Wait] = {}
        self.nonsense: list[str] = []
        """Records that no right caller writes."""
        self._abandoned: dict[str, float] = {}
        """By the wait that led to a hold: when nothing was promised of that any more."""
        for record in records:
            self._read(record)
        for wait in self.waits.values():
            if not wait.outcome and wait.process in died:
                wait.end, wait.outcome = died[wait.process], "died"
        for hold in self.holds.values():
            hold.abandoned = self._abandoned.get(hold.asked_by, math.inf)
            deaths = [died[process] for process in hold.looks if process in died]
            if not hold.ended and deaths:
                hold.over, hold.ended = max(deaths), "died"

    def _read(self, record: Record) -> None:
        match record.what:
            case "asks":
                self._asks(record)
            case "begins":
                self._begins(record)
            case "looks" | "ends":
                self._looks(record)
            case "released":
                self._released(record)
            case "quits":
                self._answer(record, str(record.fields["hold"]), "quits")
            case "abandons":
                self._abandoned[record.fields["hold"]] = record.when
            case "exits" if record.fields["hold"]:
                self._ended(record, record.fields["hold"])

    def _released(self, record: Record) -> None:
        hold = self.holds.get(record.fields["hold"])
        if hold is None:
            self.nonsense.append(f"released of {record.fields['hold']}, which has not begun")
        else:
            hold.outcome = record.fields["outcome"]

    def _ended(self, record: Record, launched: str) -> None:
        """A command under a lock has ended, and with it all that relied on that."""
        code = record.fields["code"]
        outcome = "died" if code in _KILLED else "quits"
        self._answer(record, launched, outcome)
        of_it = [hold for hold in self.holds.values() if hold.asked_by == launched]
        for hold in of_it:
            if not hold.ended:
                hold.over, hold.ended = record.when, "died" if code in _KILLED else "lost"
        in_doubt = _NOT_RELEASED in record.fields["stderr"]
        if (
            of_it
            and not in_doubt
            and code in record.fields["own"]
            and record.fields["role"] != "go"
        ):
            # Its last hold: an election may have lost others before.
            max(of_it, key=lambda hold: hold.began).outcome = RELEASED

    def _asks(self, record: Record) -> None:
        fields = record.fields
        names = tuple(fields["names"])
        self.waits[fields["hold"]] = Wait(
            fields["hold"],
            fields["kind"],
            names,
            fields.get("side", "library"),
            record.process,
            record.when,
        )

    def _answer(self, record: Record, asked: str, outcome: str) -> None:
        wait = self.waits.get(asked)
        if wait is not None and not wait.outcome:
            wait.end, wait.outcome = record.when, outcome

    def _begins(self, record: Record) -> None:
        fields = record.fields
        asked = str(fields.get("asked", fields["hold"]))
        wait = self.waits.get(asked)
        self._answer(record, asked, "begins")
        hold = self.holds.get(fields["hold"])
        if hold is None:
            claims = claims_of(
                fields["kind"],
                fields["names"],
                fields.get("mode", ""),
                fields.get("weight", 1),
                fields.get("limit", 1),
            )
            slots = (
                Claim(f"{name}/.slot/{n}", 1, 1)
                for name in fields["names"]
                for n in fields.get("slots", ())
            )
            claims += slots
            hold = Hold(
                fields["hold"],
                fields["kind"],
                fields.get("side", "library"),
                tuple(claims),
                fields.get("session", ""),
                fields.get("token", 0),
                wait.begin if wait else record.when,
                asked,
                lock_delay=fields.get("lock_delay", math.inf),
                slot=fields.get("slot", ""),
                attempt=fields.get("attempt", 0),
                retries=fields.get("retries", False),
            )
            self.holds[hold.id] = hold
        if record.process in hold.looks:
            self.nonsense.append(f"{hold} begins twice in process {record.process}")
        hold.looks.setdefault(record.process, []).append((fields["before"], fields["after"]))

    def _looks(self, record: Record) -> None:
        fields = record.fields
        hold = self.holds.get(fields["hold"])
        looks = hold.looks.get(record.process) if hold else None
        if hold is None or looks is None:
            self.nonsense.append(f"{record.what} of {fields['hold']}, which has not begun")
            return
        if fields["held"]:
            if hold.ended == "lost":
                self.nonsense.append(f"{hold} is held again after it was lost")
            looks.append((fields["before"], fields["after"]))
            if record.what == "ends" or hold.ended == "ends":
                # A child may end before a grandchild does.
                hold.over, hold.ended = fields["after"], "ends"
        elif not hold.ended:
            hold.over, hold.ended = fields["after"], "lost"
