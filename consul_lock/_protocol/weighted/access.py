"""Reading the documents that somebody wants to get into, and making sense of it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from consul_lock._protocol.consul.models import Found
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.weighted import snapshot as places
from consul_lock._protocol.weighted.attempt import Bid, Spot
from consul_lock._protocol.weighted.snapshot import Place
from consul_lock.errors import PermissionDenied

if TYPE_CHECKING:
    from consul_lock._protocol.weighted.base import HoldersCore


class Standing(enum.Enum):
    """What was read means this for one bid."""

    IN = "all of our sessions are in"
    TORN = "some of our sessions are in, and others not"
    GONE = "our keys are gone: the place in the line is lost"
    OLD = "an old picture, from before we came"
    ADMITTED = "there is room for us"
    FULL = "others are before us"


def understood(spot: Spot, found: Found) -> Place:
    """What was read of one name."""
    return places.read(
        spot.kind, spot.name, found.pairs, spot.limit, found.raft_index, found.filtered
    )


def read(
    core: HoldersCore,
    spots: tuple[Spot, ...],
    *,
    certain: bool = False,
    timeout: float | None = None,
) -> Flow[Found]:
    """Read the names, as one moment's picture; ``certain``: which cannot be an old one."""
    wire = core.client.wire
    if len(spots) == 1:
        return (yield from wire.tree(spots[0].prefix, timeout, consistent=certain))
    operations = [{"Verb": "get-tree", "Key": spot.prefix} for spot in spots]
    doing = f"reading {core.key!r}"
    outcome = yield from wire.transact(operations, doing, core.rule, timeout=timeout)
    # Its pairs are the whole picture: no change that is not in it has a lower index.
    return Found(outcome.sent, max(1, outcome.raft_index), outcome.pairs)


def look(core: HoldersCore, bid: Bid, *, certain: bool = False) -> Flow[None]:
    """Read where we stand, now."""
    found = yield from read(core, bid.spots, certain=certain)
    see(core, bid, found, certain=certain or len(bid.spots) > 1)


def see(core: HoldersCore, bid: Bid, found: Found, *, certain: bool = False) -> None:
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
