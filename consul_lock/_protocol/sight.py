"""Reading the documents that somebody wants to get into, and making sense of it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from consul_lock._protocol import place as places
from consul_lock._protocol.answer import TRANSACTION_MOST
from consul_lock._protocol.bid import Bid, Spot
from consul_lock._protocol.flow import Flow, Now
from consul_lock._protocol.grave import AT_ONCE_MOST
from consul_lock._protocol.place import Place
from consul_lock._protocol.records import Found
from consul_lock._protocol.verdict import check_session
from consul_lock.errors import PermissionDenied

if TYPE_CHECKING:
    from consul_lock._protocol.holders import HoldersCore


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
    if not any(session.uncertain for session in bid.group):
        # After a write without an answer only a write with one shows that all is well again.
        bid.trouble = None


def see(core: HoldersCore, bid: Bid, found: Found, *, certain: bool = False) -> None:
    """Take in what was read of all names."""
    bid.places = tuple(understood(spot, found) for spot in bid.spots)
    bid.certain = certain
    listed = {c.session: c.lock_delay for place in bid.places for c in place.contenders}
    inside = frozenset[str]().union(*(place.document.holders for place in bid.places))
    bid.promised = {s: delay for s, delay in bid.promised.items() if s in inside} | listed
    if bid.asked and any(s.doubtful for s in bid.group) and certain:
        # What we asked for without being answered is there, or not.
        bid.joined = all(p.contends(s) for p in bid.places for s in bid.ids())
        bid.asked = bid.joined or any(p.contends(s) for p in bid.places for s in bid.ids())


def standing(bid: Bid, seen: tuple[Place, ...], pruned: frozenset[str]) -> Standing:
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
    room = all(
        admitted(bid, spot, place, pruned) for place, spot in zip(seen, bid.spots, strict=True)
    )
    return Standing.ADMITTED if room else Standing.FULL


def admitted(bid: Bid, spot: Spot, place: Place, pruned: frozenset[str]) -> bool:
    """Whether there is room for us in one document."""
    limit = place.document.limit
    return places.admits(
        place, bid.leader, bid.n, spot.weight, limit, pruned, overtaking=bid.overtaking
    )


def prunable(core: HoldersCore, bid: Bid, seen: tuple[Place, ...]) -> Flow[frozenset[str]]:
    """The holders that have been gone for so long that nobody can believe in them any more.

    A slot has no lock-delay in Consul.  Until as much time has passed since we saw it gone, a
    holder that was only cut off may still be at work.
    """
    now = yield Now()
    gone = frozenset[str]().union(*(place.vanished() for place in seen))
    for session in list(bid.vanished):
        if session not in gone:
            del bid.vanished[session]
    bid.timed = frozenset()
    if bid.joined and all(place.contends(s) for place in seen for s in bid.ids()):
        # It takes a list with ourselves in it to believe that others are gone.
        for session in gone:
            bid.vanished.setdefault(session, now)
    due = frozenset(
        s for s in bid.vanished if now >= bid.vanished[s] + hold_off(core, bid, seen, s)
    )
    if core.hold_off == 0:
        due = gone
    timed = _timed(core, bid, seen, gone - due - bid.unripe)
    if not (due or timed):
        return frozenset()
    found = yield from really_gone(core, bid, due | timed)
    bid.timed = found - due
    return found & due


def _timed(
    core: HoldersCore, bid: Bid, seen: tuple[Place, ...], gone: frozenset[str]
) -> frozenset[str]:
    """Those that were marked for long enough wherever they are in, a few at a time."""
    marked = [
        session
        for session in gone
        if all(
            place.mark_of(session, hold_off(core, bid, seen, session))
            for place in seen
            if place.holds(session)
        )
    ]
    most = core.operations_most // (4 * len(seen))
    return frozenset(sorted(marked)[: min(AT_ONCE_MOST, most)])


def really_gone(core: HoldersCore, bid: Bid, sessions: frozenset[str]) -> Flow[frozenset[str]]:
    """Those whose keys they hold no more.  Raises `PermissionDenied` if our token may not know.

    Servers up to 1.10 leave keys that it may not see out of a list without a word.  To ask for
    one by its name is refused, though, by every server.
    """
    keys = [(spot.contender_key(s), s) for spot in bid.spots for s in sorted(sessions)]
    there = set[str]()
    for start in range(0, len(keys), TRANSACTION_MOST):
        part = keys[start : start + TRANSACTION_MOST]
        operations = [check_session(key, session) for key, session in part]
        doing = f"looking for dead holders of {core.key!r}"
        outcome = yield from core.client.wire.transact(operations, doing, core.rule)
        refused = {part[operation][1] for operation, _ in outcome.errors}
        there |= {session for _, session in part} - refused
    return sessions - there


def prune_at(core: HoldersCore, bid: Bid, seen: tuple[Place, ...], now: float) -> float | None:
    """When the next holder that vanished can be pruned; None: there is none."""
    times = [since + hold_off(core, bid, seen, s) for s, since in bid.vanished.items()]
    return min((time for time in times if time > now), default=None)


def hold_off(core: HoldersCore, bid: Bid, seen: tuple[Place, ...], session: str) -> float:
    if core.hold_off is not None:
        return core.hold_off
    shares = [place.document.holders.get(session) for place in seen]
    told = [share.lock_delay for share in shares if share is not None]
    told.append(bid.promised.get(session))
    return max(core.patience, *(seconds or 0.0 for seconds in told))


def visible(bid: Bid, seen: tuple[Place, ...], rule: str) -> None:
    """Raise `PermissionDenied` if we may not see the contenders: all others would look dead."""
    if any(place.filtered for place in seen):
        raise PermissionDenied(
            f"the token may not see all keys below {bid.spots[-1].prefix!r}, and who is not seen"
            f" looks dead; it needs the rule  {rule}"
        )
