"""For whom there is room: who should get something now, and who has got it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.simulation.consul_state import SEMAPHORE, WHOLE, Seen, Waiter

if TYPE_CHECKING:
    from tests.simulation.weighted_invariants import CrowdReferee


def fitting(referee: CrowdReferee, seen: Seen) -> set[str]:
    """Leaders of those who would fit in beside those who are in and those who came before."""
    if not referee.kind.documents or seen.foreign:
        return set()
    room: dict[str, int] = defaultdict(int)
    places: dict[str, int] = {}
    for name in referee.kind.names:
        limit = _limit(referee, seen, name)
        holders = seen.holders(name).items()
        used = sum(w for session, w in holders if not referee.dead.is_over(name, session))
        for leader, members in _groups(seen.waiting(name)).items():
            first = members[0]
            if first.n * first.weight > limit:
                continue
            used += sum(waiter.weight for waiter in members)
            places[leader] = first.places
            room[leader] += used <= limit
    return {leader for leader, number in room.items() if number == places[leader]}


def _limit(referee: CrowdReferee, seen: Seen, name: str) -> int:
    """The limit of the document, or the one that it will have at least."""
    if name in seen.documents:
        return seen.documents[name].limit
    return referee.judge.least(name) if referee.kind.layout is SEMAPHORE else WHOLE


def _groups(waiters: list[Waiter]) -> dict[str, list[Waiter]]:
    groups: dict[str, list[Waiter]] = {}
    for waiter in waiters:
        groups.setdefault(waiter.leader, []).append(waiter)
    return groups


def let_in(referee: CrowdReferee, seen: Seen) -> set[str]:
    """Those who are in, and have their contender keys."""
    return {
        waiter.session
        for name in referee.kind.names
        for waiter in seen.contenders[name]
        if waiter.ours and waiter.session in seen.holders(name)
    }
