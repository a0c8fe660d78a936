"""Getting into the documents of a semaphore, a read/write lock or a tree lock.

Look, judge, act, again, as for a lock: enter if there is room, by check-and-set in a transaction
that our session has to be alive for; else line up, and watch the one before us.  Only the first
in line watches everything: it is the one to notice that a holder is gone.
"""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.consul.operations import check_session
from consul_lock._protocol.flow import Flow, Wall
from consul_lock._protocol.hold.hold import Grant, may_wait
from consul_lock._protocol.primitive.acquire import has_part, not_for_oneself
from consul_lock._protocol.weighted import snapshot as places
from consul_lock._protocol.weighted.access import (
    Standing,
    accept,
    grant,
    look,
    refused,
    standing,
    visible,
    write,
)
from consul_lock._protocol.weighted.attempt import Bid
from consul_lock._protocol.weighted.base import WeightedBase
from consul_lock._protocol.weighted.document import SEMAPHORE, limit_conflict
from consul_lock._protocol.weighted.layout import Contender, Spot
from consul_lock._protocol.weighted.operations import admit, change, contend_operation, touch
from consul_lock._protocol.weighted.pruning import prune
from consul_lock._protocol.weighted.queue import wait_for_turn
from consul_lock._protocol.weighted.release import give_up, litter, start_anew
from consul_lock._protocol.weighted.snapshot import Place

# Tries of one who may not wait, when there is room but others are quicker each time.
_TRIES = 5


def contend(core: WeightedBase, bid: Bid) -> Flow[Grant | None]:
    """Get in.  None: it was not to be had in time."""
    while True:
        yield from _gather(core, bid)
        if not bid.joined:
            bid.spots = core.spots()  # of a semaphore, the limit may be another one by now
        if bid.places is None:
            yield from look(core, bid, certain=any(s.doubtful for s in bid.group))
        seen = bid.places
        assert seen is not None
        yield from _agree(core, bid, seen)
        bid.overtaking = has_part(core, bid)
        where = standing(bid, seen)
        grant = None
        if where is Standing.IN:
            grant = yield from accept(core, bid, seen)
        elif where is Standing.ADMITTED and (yield from _may_take(bid)):
            grant = yield from _take(core, bid, seen)
        elif where in (Standing.OLD, Standing.GONE, Standing.TORN):
            yield from _start_over(core, bid, where)
        elif (yield from _may_take(bid)) and (yield from prune(core, bid, seen)):
            bid.places = None
        elif not (yield from may_wait(bid)):
            return (yield from give_up(core, bid))
        else:
            not_for_oneself(core, bid)
            yield from wait_for_turn(core, bid, seen)
        if grant is not None:
            return grant


def _start_over(core: WeightedBase, bid: Bid, where: Standing) -> Flow[None]:
    """What was read is no ground to stand on."""
    if where is Standing.OLD:
        yield from look(core, bid, certain=True)
    elif where is Standing.GONE:
        bid.joined, bid.places = False, None
    else:
        yield from start_anew(core, bid)


def _gather(core: WeightedBase, bid: Bid) -> Flow[None]:
    """A session for each slot; if one has died, all are given up, as they enter together."""
    if bid.group and any(session.gone for session in bid.group):
        yield from start_anew(core, bid)
    while len(bid.group) < bid.n:
        session = yield from core.session_for(bid)
        bid.group.append(session)
        bid.session = bid.group[0]


def _agree(core: WeightedBase, bid: Bid, seen: tuple[Place, ...]) -> Flow[None]:
    """See that the limit is ours.  Whoever is in line already goes along with a change of it."""
    visible(bid, seen, core.rule)
    found = seen[-1].document
    if bid.spots[-1].kind is not SEMAPHORE:
        return
    limit = found.limit if found.modify_index else core.limit
    if bid.n > limit or (limit != core.limit and not bid.joined):
        local = core.limit
        yield from give_up(core, bid)
        raise limit_conflict(core.name, limit, local)
    core.adopt(limit)


def _may_take(bid: Bid) -> Flow[bool]:
    """One who may not wait does not try for ever: it is as if it had come a moment later."""
    return bid.refusals < _TRIES or (yield from may_wait(bid))


def _take(core: WeightedBase, bid: Bid, seen: tuple[Place, ...]) -> Flow[Grant | None]:
    """Enter, and let in with us whoever of those behind fits in, too."""
    since = yield Wall()
    operations, crowded = list[dict[str, Any]](), bid.joined
    for spot, place in zip(bid.spots, seen, strict=True):
        operations += _own(bid, spot, since)
        document = admit(place.document, bid, spot)
        beside: tuple[Contender, ...] = ()
        if len(bid.spots) == 1:
            room = core.operations_most - len(operations) - 1
            document, beside = places.grants(place, document, frozenset(bid.ids()), room // 2)
        operations += [operation for each in beside for operation in touch(spot, each, since)]
        operations.append(change(spot, place, document))
        others = place.contenders or place.left or place.left_slots
        crowded = crowded or len(document.holders) > bid.n or bool(others)
    operations += litter(bid.spots, seen, core.operations_most - len(operations))
    outcome = yield from write(core, bid, operations, f"entering {core.key!r}")
    if outcome.done:
        return grant(bid, outcome.raft_index, crowded=crowded)
    yield from refused(core, bid, outcome)
    return None


def _own(bid: Bid, spot: Spot, since: float) -> list[dict[str, Any]]:
    """Our contender keys: made with the entering, or shown to be there still and written anew,
    for whoever watches us to see that we moved."""
    operations = []
    for session in bid.ids():
        key = spot.contender_key(session)
        if bid.joined:
            operations.append(check_session(key, session))
        operations.append(contend_operation(spot, session, bid.value(spot, since, inside=True)))
    return operations
