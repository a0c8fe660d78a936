"""Reading the documents that somebody wants to get into, and making sense of it."""

from __future__ import annotations

import enum
from typing import Any

from consul_lock._protocol.client.base import believe
from consul_lock._protocol.consul.models import Found
from consul_lock._protocol.consul.replies import Outcome
from consul_lock._protocol.flow import Flow, Sleep
from consul_lock._protocol.hold.hold import Grant
from consul_lock._protocol.weighted import snapshot as places
from consul_lock._protocol.weighted.attempt import Bid
from consul_lock._protocol.weighted.base import WeightedBase, read
from consul_lock._protocol.weighted.layout import Spot
from consul_lock._protocol.weighted.snapshot import Place, understood
from consul_lock.errors import PermissionDenied

# Seconds before the next try after somebody else was quicker: twice that each time, at most 0.3.
_QUICKER = 0.005


class Standing(enum.Enum):
    """What was read means this for one bid."""

    IN = "all of our sessions are in"
    TORN = "some of our sessions are in, and others not"
    GONE = "our keys are gone: the place in the line is lost"
    OLD = "an old picture, from before we came"
    ADMITTED = "there is room for us"
    FULL = "others are before us"


def look(core: WeightedBase, bid: Bid, *, certain: bool = False) -> Flow[None]:
    """Read where we stand, now."""
    found = yield from read(core, bid.spots, certain=certain)
    see(core, bid, found, certain=certain or len(bid.spots) > 1)


def see(core: WeightedBase, bid: Bid, found: Found, *, certain: bool = False) -> None:
    """Take in what was read of all names."""
    bid.places = tuple(understood(spot, found) for spot in bid.spots)
    bid.certain = certain
    if bid.asked and any(s.doubtful for s in bid.group) and certain:
        # What we asked for without being answered is there, or not.
        bid.joined = all(p.contends(s) for p in bid.places for s in bid.ids())
        bid.asked = bid.joined or any(p.contends(s) for p in bid.places for s in bid.ids())


def standing(bid: Bid, seen: tuple[Place, ...]) -> Standing:
    """What the last read means for us."""
    ids = bid.ids()
    inside = [place.holds(session) for place in seen for session in ids]
    there = [place.contends(session) for place in seen for session in ids]
    if any(inside) or (bid.joined and not all(there)):
        fresh = bid.certain or (bid.joined and seen[0].raft_index >= bid.joined_at)
        if not fresh:
            return Standing.OLD
        if not any(inside):
            return Standing.GONE
        return Standing.IN if all(inside) and all(there) else Standing.TORN
    room = all(admitted(bid, spot, place) for place, spot in zip(seen, bid.spots, strict=True))
    return Standing.ADMITTED if room else Standing.FULL


def admitted(bid: Bid, spot: Spot, place: Place) -> bool:
    """Whether there is room for us in one document."""
    return places.admits(place, bid.leader, bid.n, spot.weight, overtaking=bid.overtaking)


def visible(bid: Bid, seen: tuple[Place, ...], rule: str) -> None:
    """Raise `PermissionDenied` if we may not see the contenders: all others would look dead."""
    if any(place.filtered for place in seen):
        raise PermissionDenied(
            f"the token may not see all keys below {bid.spots[-1].prefix!r}, and who is not seen"
            " looks dead",
            hint=f"it needs the rule  {rule}",
            kind="hidden-keys",
            rule=rule,
        )


def write(
    core: WeightedBase, bid: Bid, operations: list[dict[str, Any]], doing: str
) -> Flow[Outcome]:
    request = core.client.wire.transaction(operations, doing, core.rule)
    bid.asked = bid.exposed = True
    outcome = yield from core.client.write(bid.group[0], request, bid.group[1:])
    return outcome


def refused(core: WeightedBase, bid: Bid, outcome: Outcome) -> Flow[None]:
    """Others were quicker, or our sessions have died: look again."""
    bid.places = None
    core.client.note(core.key, crowded=True)
    yield from _buried(core, bid, outcome)
    if bid.refusals:
        pause = min(_QUICKER * 2.0 ** min(bid.refusals, 8), 0.3)
        yield Sleep(0.0, pause)
    bid.refusals += 1


def _buried(core: WeightedBase, bid: Bid, outcome: Outcome) -> Flow[None]:
    """Only our sessions ever lock our keys: a lock-delay on one says that its session died."""
    if outcome.delayed:
        for session in [s for s in bid.group if s.id in outcome.reasons]:
            yield from core.client.lose_session(session)


def accept(core: WeightedBase, bid: Bid, seen: tuple[Place, ...]) -> Flow[Grant | None]:
    """We were let in, or an earlier try of ours came through.

    It counts only with sessions renewed of late: a process that was paused while it waited must
    not wake up believing.
    """
    for session in bid.group:
        if not (yield from believe(core.client, session)):
            return None
    # Whoever let us in wrote our own key anew, and nobody has since.
    token = max(c.modify_index for p in seen for c in p.contenders if c.session == bid.leader)
    return grant(bid, token, crowded=True)


def grant(bid: Bid, token: int, *, crowded: bool) -> Grant:
    first, *others = bid.group
    return Grant(first, token, crowded, None, tuple(others))
