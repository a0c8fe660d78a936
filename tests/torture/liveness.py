"""Whether everybody who waited got on, and how long that took."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.torture.history import Fault
from tests.torture.holds import Hold, Wait, claims_of

NONE = "none"
"""The kind of fault under which a time without any is counted."""


def forgotten(
    waits: Iterable[Wait], faults: Iterable[Fault], bound: float, end: float
) -> list[str]:
    """Waits that went on for longer than ``bound`` seconds without any fault, or that nobody has
    answered though the run went on for as long.

    What a fault has delayed is not counted: the time begins anew at the end of each.
    """
    calm = _calm(list(faults), end)
    found = []
    for wait in waits:
        if wait.side != "library":
            continue  # `consul lock` is in no queue
        until = min(wait.end, end)
        longest = max(
            (min(until, stop) - max(wait.begin, start) for start, stop in calm), default=0.0
        )
        if longest > bound:
            how = wait.outcome or "no answer"
            found.append(
                f"{wait.id} waited for {', '.join(wait.names)} ({wait.kind}) for {longest:.1f} s"
                f" without any fault: {how}"
            )
    return found


def _calm(faults: list[Fault], end: float) -> list[tuple[float, float]]:
    """The times without a fault."""
    calm, free = [], -math.inf
    for fault in sorted(faults, key=lambda fault: fault.begin):
        if fault.begin > free:
            calm.append((free, fault.begin))
        free = max(free, fault.end)
    return [*calm, (free, end)] if free < end else calm


@dataclass(frozen=True)
class Outage:
    """A time in which somebody waited for a thing and nobody held it."""

    kind: str
    name: str
    seconds: float
    faults: tuple[str, ...]
    """The kinds of those that were active."""


def outages(
    holds: Iterable[Hold], waits: Iterable[Wait], faults: list[Fault], end: float
) -> Iterator[Outage]:
    """Each of them, for the things that one alone can hold, or the whole of a thing."""
    held: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for hold in holds:
        for claim in hold.claims:
            held[claim.name] += [(span.begin, span.end) for span in hold.spans()]
    wanted: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for wait in waits:
        for claim in claims_of(wait.kind, wait.names, "write", 1, 1):
            wanted[wait.kind, claim.name].append((wait.begin, min(wait.end, end)))
    for (kind, name), times in wanted.items():
        for begin, stop in _without(_union(times), _union(held[name])):
            active = tuple(sorted({f.kind for f in faults if f.touches(begin, stop)})) or (NONE,)
            yield Outage(kind, name, stop - begin, active)


def _union(times: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for begin, end in sorted(times):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def _without(
    times: list[tuple[float, float]], others: list[tuple[float, float]]
) -> Iterator[tuple[float, float]]:
    for begin, end in times:
        rest = begin
        for start, stop in others:
            if stop > rest and start < end:
                if start > rest:
                    yield rest, start
                rest = max(rest, stop)
        if rest < end:
            yield rest, end


def takeovers(holds: Iterable[Hold], waits: Iterable[Wait]) -> Iterator[tuple[str, float]]:
    """The kind of lock, and the seconds from the death of a holder to the next one's beginning,
    where somebody waited all the time."""
    all_holds, all_waits = list(holds), list(waits)
    for dead in all_holds:
        if dead.ended != "died" or not any(claim.weight == claim.limit for claim in dead.claims):
            continue
        names = {claim.name for claim in dead.claims if claim.weight == claim.limit}
        later = [
            hold
            for hold in all_holds
            if hold.began > dead.over and names & {claim.name for claim in hold.claims}
        ]
        following = min(later, key=lambda hold: hold.began, default=None)
        waited = any(names & set(wait.names) and wait.begin <= dead.over for wait in all_waits
                     if wait.end > dead.over)  # fmt: skip
        if following is not None and waited:
            yield dead.kind, following.began - dead.over
