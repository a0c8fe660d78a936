"""The semaphore: at most so many at once, in the layout of HashiCorp's Go client."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.arguments import checked
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import QUICKER, TRIES_MOST, too_busy
from consul_lock._protocol.flow import Flow, Job, Sleep, Wall
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.weighted import snapshot as places
from consul_lock._protocol.weighted.attempt import Bid
from consul_lock._protocol.weighted.base import read
from consul_lock._protocol.weighted.document import SEMAPHORE
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock._protocol.weighted.layout import Spot
from consul_lock._protocol.weighted.operations import change, touch
from consul_lock._protocol.weighted.slot_numbers import numbers
from consul_lock._protocol.weighted.snapshot import understood
from consul_lock.errors import ConfigError

AT_ONCE_MOST = 30
"""Slots that one acquire can take: each is a session, and takes two of the 64 operations that
Consul carries out together."""

LIMIT_MOST = 2**31 - 1
"""The highest limit: what a Go client of 32 bits can read."""


class SemaphoreCore(WeightedCore):
    """At most ``limit`` holders."""

    handed_on = True

    def __init__(self, client: ClientCore, name: str, limit: int, settings: Settings) -> None:
        super().__init__(client, name, settings)
        self.limit = checked("limit", limit, LIMIT_MOST)

    def spots(self) -> tuple[Spot, ...]:
        return (Spot(SEMAPHORE, self.name, "slot", self.limit),)

    def attempt(self, owner: Any, blocking: bool, n: int = 1) -> Bid:
        if checked("n", n, AT_ONCE_MOST) > self.limit:
            raise ConfigError(
                f"n={n} is more than the limit of {self.name!r}, which is {self.limit}",
                kind="contradiction",
                settings=("n",),
            )
        if n > 1 and self.shared is not None:
            raise ConfigError(
                f"n={n} and session= contradict each other: a slot belongs to a session, so"
                " several slots need several sessions",
                kind="contradiction",
                settings=("n", "session"),
            )
        return super().attempt(owner, blocking, n)

    def slots(self, now: float, owner: Any) -> Job[tuple[int, ...]]:
        """The numbers of the slots of the caller's hold.  Raises `NotHeld` or `LockLost`."""
        return Job(numbers(self, self.ensure(now, owner)))

    def resize(self, limit: int) -> Job[None]:
        """Change the limit, and let in who fits in then.  Whoever is in stays in."""
        return Job(self._resize(checked("limit", limit, LIMIT_MOST)))

    def _resize(self, limit: int) -> Flow[None]:
        (spot,) = self.spots()
        for _ in range(TRIES_MOST):
            found = yield from read(self, (spot,), certain=True)
            place = understood(spot, found)
            if not place.document.modify_index or place.document.limit == limit:
                break  # a semaphore that nobody uses has no limit yet
            since = yield Wall()
            document = place.document._replace(limit=limit)
            document, entering = places.grants(place, document, frozenset(), AT_ONCE_MOST)
            operations = [op for each in entering for op in touch(spot, each, since)]
            operations.append(change(spot, place, document))
            doing = f"resizing {self.key!r}"
            outcome = yield from self.client.wire.transact(operations, doing, self.rule)
            if outcome.done:
                break
            yield Sleep(*QUICKER)
        else:
            raise too_busy(self.key, "resizing")
        self.adopt(limit)

    def adopt(self, limit: int) -> None:
        if limit != self.limit:
            self.limit = limit
            (spot,) = self.spots()
            self.client.turns.relimit(spot.claim(1).resource, limit)
