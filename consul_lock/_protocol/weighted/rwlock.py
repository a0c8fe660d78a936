"""The read/write lock: many readers, or one writer beside nobody."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import QUICKER, TRIES_MOST, too_busy, until_let_go
from consul_lock._protocol.flow import Flow, Job, Sleep, Wall
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.weighted import snapshot as places
from consul_lock._protocol.weighted.attempt import Bid
from consul_lock._protocol.weighted.base import read
from consul_lock._protocol.weighted.document import ALL, READ_WRITE
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock._protocol.weighted.layout import Spot
from consul_lock._protocol.weighted.operations import admit, change, contend_operation, touch
from consul_lock._protocol.weighted.snapshot import understood


class SideCore(WeightedCore):
    """One side of a read/write lock: the readers', or the writers'."""

    def __init__(self, client: ClientCore, name: str, mode: str, settings: Settings) -> None:
        super().__init__(client, name, settings)
        self.limit = ALL
        self._mode = mode

    def spots(self) -> tuple[Spot, ...]:
        return (Spot(READ_WRITE, self.name, self._mode, ALL),)

    def downgrade(self, now: float, owner: Any) -> Job[None]:
        """Make a held write lock a read lock, with no moment between in which it is neither."""
        return Job(self._downgrade(self.ensure(now, owner)))

    def _downgrade(self, hold: Hold) -> Flow[None]:
        bid = hold.attempt
        assert isinstance(bid, Bid)
        if bid.downgraded:
            return
        demoted = yield from until_let_go(
            self.client, hold, lambda: self._demote(hold, bid), patient=True
        )
        if not demoted:
            raise self.lost_error(hold)
        bid.downgraded = True
        with self.client.mutex:
            bid.claims = bid.rooms = tuple(claim._replace(weight=1) for claim in bid.claims)
        self.client.turns.call_in(bid)

    def _demote(self, hold: Hold, bid: Bid) -> Flow[bool]:
        """False: it is lost."""
        # From the first try on: if it is not answered, the weaker of the two is always true.
        bid.spots = tuple(spot._replace(mode="read") for spot in bid.spots)
        for _ in range(TRIES_MOST):
            if (yield from self._rewrite(hold, bid, bid.spots[0])).done:
                return True
            reason = yield from self.examine(hold, None, None)
            if reason is not None:
                yield from self.client.lose(hold, reason)
                return False
            yield Sleep(*QUICKER)
        raise too_busy(self.key, "downgrading")

    def _rewrite(self, hold: Hold, bid: Bid, spot: Spot) -> Flow[Any]:
        """Write the document with us as a reader, and let in the readers that wait."""
        found = yield from read(self, (spot,), certain=True)
        place = understood(spot, found)
        since = yield Wall()
        document = admit(place.document, bid, spot)
        document, entering = places.grants(place, document, frozenset(), 30)
        operations = self.proof(hold)[:1]
        value = bid.value(spot, since, inside=True)
        operations.append(contend_operation(spot, bid.leader, value))
        operations += [operation for each in entering for operation in touch(spot, each, since)]
        operations.append(change(spot, place, document))
        request = self.client.wire.transaction(operations, f"downgrading {self.key!r}", self.rule)
        return (yield from self.client.write(hold.session, request))


class ReadWriteCore:
    """Both sides of a read/write lock."""

    def __init__(self, client: ClientCore, name: str, settings: Settings) -> None:
        self.reader = SideCore(client, name, "read", settings)
        self.writer = SideCore(client, name, "write", settings)
