"""Whether holders that believed were ever too many, and whose fault that is.

For each thing that can be held, what holders certainly took of it at the same time is added up:
more than there is, is an overlap.  It counts for each side whose session was not on the key, or in
the document, meanwhile; for both if nobody can tell.  If that side is `consul lock` alone, it is
listed apart: that loses its holds unseen.

An observer's word is taken, too: who believes while another session has the key is wrong even if
that other one was killed before it could write that it holds.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from tests.torture.history import Fault
from tests.torture.holds import RELEASED, Hold
from tests.torture.observation import Observation


@dataclass(frozen=True)
class Part:
    """What one takes of a thing, from a time to a time."""

    begin: float
    end: float
    weight: int
    limit: int
    hold: Hold | None
    session: str


@dataclass(frozen=True)
class Overlap:
    """A time in which more was taken than there is."""

    name: str
    begin: float
    end: float
    holds: tuple[Hold, ...]
    guilty: tuple[Hold, ...]
    """Those that it counts for."""
    occupants: tuple[str, ...]
    """Sessions that the observer saw there, and of which no hold tells."""

    @property
    def who(self) -> tuple[str, frozenset[str]]:
        """The thing, and all that are in it."""
        return self.name, frozenset([*(hold.id for hold in self.holds), *self.occupants])

    @property
    def sessions(self) -> frozenset[str]:
        """Of all that are in it."""
        return frozenset([*(hold.session or hold.id for hold in self.holds), *self.occupants])

    @property
    def sides(self) -> set[str]:
        """Which it counts for: library, go."""
        return {hold.side for hold in self.guilty}

    def __str__(self) -> str:
        who = " and ".join(str(hold) for hold in self.holds)
        others = "".join(f" and session {session}" for session in self.occupants)
        blame = ", ".join(hold.id for hold in self.guilty)
        return f"{self.name} for {self.end - self.begin:.3f} s: {who}{others}; not on it: {blame}"


def overlaps(holds: Iterable[Hold], seen: Observation, *, abandoned: bool = False) -> list[Overlap]:
    """All of them, each once for a thing and the holds that meet; ``abandoned``: also those with
    what lives on after its wrapper and its guardian were killed together."""
    parts: defaultdict[str, list[Part]] = defaultdict(list)
    for hold in holds:
        for claim in hold.claims:
            for span in hold.spans(abandoned=abandoned):
                part = Part(span.begin, span.end, claim.weight, claim.limit, hold, hold.session)
                parts[claim.name].append(part)
    found: dict[tuple[str, frozenset[str]], Overlap] = {}
    for name, believed in parts.items():
        for overlap in _overlaps(name, believed, seen):
            found.setdefault(overlap.who, overlap)
    # What holders have said themselves need not be said by the observer again.
    said = {(each.name, each.sessions) for each in found.values() if not each.occupants}
    return sorted(
        (
            overlap
            for overlap in found.values()
            if not overlap.occupants or (overlap.name, overlap.sessions) not in said
        ),
        key=lambda overlap: overlap.begin,
    )


def _overlaps(name: str, believed: list[Part], seen: Observation) -> Iterator[Overlap]:
    parts = sorted([*believed, *_occupants(name, seen)], key=lambda part: part.begin)
    inside: list[Part] = []
    for part in parts:
        inside = [other for other in inside if other.end > part.begin] + [part]
        if _taken(inside) > min(each.limit for each in inside):
            overlap = _judged(name, inside, seen)
            if overlap is not None:
                yield overlap


def _occupants(name: str, seen: Observation) -> Iterator[Part]:
    for state in seen.states(name):
        if state.first_after < state.last_before:
            for session, weight in state.holders.items():
                yield Part(state.first_after, state.last_before, weight, state.limit, None, session)


def _taken(inside: list[Part]) -> int:
    """Of all together: a hold and its session on the key are one."""
    weights: dict[str, int] = {}
    for part in inside:
        who = part.session or (part.hold.id if part.hold else "")
        own = f"{who} {part.hold.id}" if part.hold else who
        weights[own] = max(weights.get(own, 0), part.weight)
    sessions = {part.session for part in inside if part.hold}
    return sum(weight for who, weight in weights.items() if who not in sessions)


def _judged(name: str, inside: list[Part], seen: Observation) -> Overlap | None:
    holds = {part.hold.id: part.hold for part in inside if part.hold}
    if not holds:
        return None  # documents may hold what they like, as long as nobody believes it
    begin, end = max(part.begin for part in inside), min(part.end for part in inside)
    sessions = {hold.session for hold in holds.values()}
    occupants = {part.session for part in inside if not part.hold} - sessions
    on_key = {
        hold.id: seen.on_key(name, hold.session, hold.token, begin, end) for hold in holds.values()
    }
    # Who was not on it; else those of whom nobody can tell; else all were on it, which must not be,
    # either, and all are to blame.
    off = [hold for hold in holds.values() if on_key[hold.id] is False]
    unknown = [hold for hold in holds.values() if on_key[hold.id] is None]
    guilty = off or unknown or list(holds.values())
    return Overlap(name, begin, end, tuple(holds.values()), tuple(guilty), tuple(sorted(occupants)))


def wrong_tokens(holds: Iterable[Hold], faults: Sequence[Fault]) -> list[str]:
    """Holds whose token is not greater than one that they came after, or is shared with too many.

    Who asks after another had begun was granted later.  Where only one can hold, who begins after
    another had begun was, too.  Not so beside a fault that sets the data back.
    """
    by_name: defaultdict[str, list[tuple[Hold, int, int]]] = defaultdict(list)
    for hold in holds:
        if hold.side == "library":
            for claim in hold.claims:
                # The index of a slot has no token of its own, but that of the semaphore.
                if "/.slot/" not in claim.name:
                    by_name[claim.name].append((hold, claim.weight, claim.limit))
    return [
        text
        for name, of_name in by_name.items()
        for text in _wrong_tokens(name, of_name, [f for f in faults if f.breaks(name)])
    ]


def _wrong_tokens(
    name: str, holds: list[tuple[Hold, int, int]], breaking: list[Fault]
) -> Iterator[str]:
    ordered = sorted(holds, key=lambda each: each[0].began)
    begun = [hold.began for hold, _, _ in ordered]
    greatest = list(accumulate((hold for hold, _, _ in ordered), _of_greater_token))
    granted: defaultdict[tuple[int, float], int] = defaultdict(int)
    for hold, weight, limit in ordered:
        # After a fault that sets the data back, tokens may be lower than before it, or the same.
        since = max((f.end for f in breaking if f.begin <= hold.began), default=-math.inf)
        granted[hold.token, since] += weight
        if hold.token < 1:
            yield f"{name}: {hold} has no token"
        elif granted[hold.token, since] > limit and hold.began > since:
            yield f"{name}: {hold} has a token that was given already"
            continue
        earlier = bisect_left(begun, hold.began if weight == limit else hold.asked)
        first = bisect_right(begun, since)
        if first >= earlier:
            continue
        before = greatest[earlier - 1]
        if before.began <= since:
            before = max((each for each, _, _ in ordered[first:earlier]), key=lambda h: h.token)
        if hold.token <= before.token:
            yield f"{name}: {hold} came after {before}"


def _of_greater_token(one: Hold, other: Hold) -> Hold:
    return one if one.token >= other.token else other


def unnoticed(holds: Iterable[Hold], seen: Observation) -> Iterator[tuple[Hold, str]]:
    """Holds of which nobody has said that they were lost, and whose session the observer
    saw off the key before that; with the name."""
    for hold in holds:
        if hold.outcome == RELEASED and hold.side == "library":
            for claim in hold.claims:
                on_key = seen.on_key(
                    claim.name, hold.session, hold.token, hold.began, hold.last_seen
                )
                if hold.began < hold.last_seen and on_key is False:
                    yield hold, claim.name


def foreign_tokens(holds: Iterable[Hold], seen: Observation) -> Iterator[tuple[Hold, str]]:
    """Holds whose token is the index of a state in which another session was on the key."""
    for hold in holds:
        for claim in hold.claims:
            for state in seen.states(claim.name):
                if state.index == hold.token > 0 and hold.session not in state.holders:
                    yield hold, claim.name


def late(holds: Iterable[Hold], seen: Observation) -> Iterator[tuple[Hold, str, float]]:
    """Holds that were believed in for longer than the lock-delay after their session had left the
    key, with the name and by how many seconds: others could have come in, if there were any."""
    for hold in holds:
        if hold.side != "library":
            continue
        for claim in hold.claims:
            off = seen.off_since(claim.name, hold.session, hold.began)
            if hold.last_seen > off + hold.lock_delay:
                yield hold, claim.name, hold.last_seen - off - hold.lock_delay
