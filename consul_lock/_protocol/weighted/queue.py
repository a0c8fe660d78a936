"""Waiting to get into documents: line up, and watch the one thing that can bring our turn."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.consul.models import Found
from consul_lock._protocol.flow import Flow, Now, Wall
from consul_lock._protocol.weighted.access import admitted, refused, see, write
from consul_lock._protocol.weighted.attempt import Bid
from consul_lock._protocol.weighted.base import WeightedBase
from consul_lock._protocol.weighted.layout import Contender, Spot
from consul_lock._protocol.weighted.operations import contend_operation
from consul_lock._protocol.weighted.snapshot import Place

# Seconds of one blocking read, as in the line of a lock.
_POLL = 10.0

# The same while a dead holder is to be pruned whose lock-delay is not over: nothing announces its
# end.  A try before it is refused without a Raft write.
_DELAY_RETRY = (0.25, 1.0)


def wait_for_turn(core: WeightedBase, bid: Bid, seen: tuple[Place, ...]) -> Flow[None]:
    """Do the one thing that brings us nearer."""
    if not bid.joined:
        yield from _join(core, bid)
        return
    full = [
        (spot, place)
        for spot, place in zip(bid.spots, seen, strict=True)
        if not admitted(bid, spot, place)
    ]
    spot, place = full[0] if full else (bid.spots[-1], seen[-1])
    ahead = None if bid.overtaking else place.ahead(bid.leader)
    if ahead is not None:
        yield from _watch_ahead(core, bid, spot, ahead)
    else:
        yield from _watch_all(core, bid, spot, place)
    bid.guarded = frozenset()


def _join(core: WeightedBase, bid: Bid) -> Flow[None]:
    """Line up, and see who is there."""
    since = yield Wall()
    operations = list[dict[str, Any]]()
    for spot in bid.spots:
        for session in bid.ids():
            if bid.asked:
                # What is left of our keys is from an earlier coming: our place has to be the
                # same in all lines, or two could each be behind the other.
                operations.append({"Verb": "delete", "Key": spot.contender_key(session)})
            operations.append(contend_operation(spot, session, bid.value(spot, since)))
    operations += [{"Verb": "get-tree", "Key": spot.prefix} for spot in bid.spots]
    outcome = yield from write(core, bid, operations, f"lining up for {core.key!r}")
    if not outcome.done:
        yield from refused(core, bid, outcome)
        return
    bid.joined, bid.joined_at, bid.refusals = True, outcome.raft_index, 0
    see(core, bid, Found(outcome.sent, outcome.raft_index, outcome.pairs), certain=True)


def _watch_ahead(core: WeightedBase, bid: Bid, spot: Spot, ahead: Contender) -> Flow[None]:
    """Wait for the one before us to enter, or to leave."""
    key = spot.contender_key(ahead.session)
    wait = yield from _poll_time(core, bid)
    found = yield from core.client.wire.get(key, ahead.modify_index, wait)
    unmoved = found.pair is not None and found.pair.modify_index == ahead.modify_index
    if unmoved and (yield from _undisturbed(core, bid, spot)):
        return
    bid.places = None


def _undisturbed(core: WeightedBase, bid: Bid, spot: Spot) -> Flow[bool]:
    """Whether our own key is still as we saw it."""
    assert bid.places is not None
    found = yield from core.client.wire.get(spot.contender_key(bid.leader))
    mine = [c.modify_index for p in bid.places for c in p.contenders if c.session == bid.leader]
    return found.pair is not None and found.pair.modify_index in mine


def _watch_all(core: WeightedBase, bid: Bid, spot: Spot, place: Place) -> Flow[None]:
    """We are first: see everything that happens to it."""
    wait = yield from _poll_time(core, bid)
    index = max(place.raft_index, bid.waited.get(spot.prefix, 0))
    found = yield from core.client.wire.tree(spot.prefix, index=index, wait=wait)
    # The index of a prefix is higher than that of all its keys once one was deleted.
    bid.waited[spot.prefix] = found.raft_index if found.raft_index >= index else 0
    if len(bid.spots) == 1:
        see(core, bid, found)
    else:
        bid.places = None


def _poll_time(core: WeightedBase, bid: Bid) -> Flow[float]:
    """Seconds of one blocking read: until we give up, or try again to prune a dead holder."""
    low, high = _DELAY_RETRY
    wait = low + (high - low) * core.client.random() if bid.guarded else _POLL
    if bid.deadline is not None:
        now = yield Now()
        wait = min(wait, bid.deadline - now)
    return max(0.001, wait)
