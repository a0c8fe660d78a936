"""What is done about dead holders by those who do not wait until they can be pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consul_lock._protocol import place as places
from consul_lock._protocol.bid import Bid
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.grave import mark, ripe, still_runs
from consul_lock._protocol.lineup import refused, write
from consul_lock._protocol.minutes import change
from consul_lock._protocol.place import Place
from consul_lock._protocol.sight import hold_off, really_gone

if TYPE_CHECKING:
    from consul_lock._protocol.holders import HoldersCore


def mark_the_dead(core: HoldersCore, bid: Bid, seen: tuple[Place, ...]) -> Flow[None]:
    """Before giving up: see to it that the slots of dead holders are to be had some day."""
    for spot, place in zip(bid.spots, seen, strict=True):
        times = {session: hold_off(core, bid, seen, session) for session in place.vanished()}
        new = frozenset(s for s, seconds in times.items() if not place.mark_of(s, seconds))
        if new and core.hold_off != 0:
            new = yield from really_gone(core, bid, new)
            yield from mark(core, bid, spot, new, max(times.values()))


def bury(core: HoldersCore, bid: Bid, seen: tuple[Place, ...]) -> Flow[None]:
    """Throw out the dead holders whose clocks have run out, whether there is room then or not."""
    operations = list[dict[str, Any]]()
    for spot, place in zip(bid.spots, seen, strict=True):
        dead = bid.timed & place.document.holders.keys()
        marks = [place.mark_of(s, hold_off(core, bid, seen, s)) for s in sorted(dead)]
        operations += [op for made in marks if made for op in ripe(spot, made, bid.leader)]
        if dead:
            operations.append(change(spot, place, places.leave(place, dead)))
    outcome = yield from write(core, bid, operations, f"burying dead holders of {core.key!r}")
    bid.places = None
    if still_runs(outcome):
        bid.unripe |= bid.timed
    elif not outcome.done:
        yield from refused(core, bid, outcome)
