"""The semaphore: at most so many at once, in the layout of HashiCorp's Go client."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.arguments import checked
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import QUICKER, TRIES_MAX, too_busy
from consul_lock._protocol.flow import Flow, Job, Sleep, Wall
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import read_targets
from consul_lock._protocol.weighted.document import SEMAPHORE, Document
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock._protocol.weighted.layout import Target
from consul_lock._protocol.weighted.operations import touch, write_document
from consul_lock._protocol.weighted.slot_numbers import numbers_of
from consul_lock._protocol.weighted.snapshot import admit_waiters, snapshot_of
from consul_lock.errors import ConfigError

AT_ONCE_MAX = 30
"""Slots that one acquire can take: each is a session, and takes two of the 64 operations that
Consul carries out together."""

LIMIT_MAX = 2**31 - 1
"""The highest limit: what a Go client of 32 bits can read."""


class SemaphoreCore(WeightedCore):
    """At most ``limit`` holders."""

    handed_on = True
    kind = "semaphore"

    def __init__(self, client: ClientCore, name: str, limit: int, settings: Settings) -> None:
        super().__init__(client, name, settings)
        self.limit = checked("limit", limit, LIMIT_MAX)
        self._entering: dict[WeightedAttempt, None] = {}
        """Attempts of this object with a write under way that enters."""
        self._entered = 0
        """How many such writes there were in all."""
        self._coming: dict[object, int] = {}
        """Limits that changes under way are about to write, or have written already."""

    def targets(self) -> tuple[Target, ...]:
        return (Target(SEMAPHORE, self.name, "slot", self.limit),)

    def attempt(self, owner: Any, blocking: bool, n: int = 1) -> WeightedAttempt:
        if checked("n", n, AT_ONCE_MAX) > self.limit:
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
        return Job(numbers_of(self, self.ensure(now, owner)))

    def resize(self, limit: int) -> Job[None]:
        """Change the limit, and admit the waiters for which there are slots then.  Holders stay."""
        limit, change = checked("limit", limit, LIMIT_MAX), object()
        return Job(self._resizing(limit, change), lambda: self._forget(change))

    def _resizing(self, limit: int, change: object) -> Flow[None]:
        self._coming[change] = limit
        yield from self._resize(limit)
        self._coming.pop(change, None)

    def _forget(self, change: object) -> Flow[None]:
        """A change of the limit has failed, or was cut off."""
        yield from ()
        self._coming.pop(change, None)

    def _resize(self, limit: int) -> Flow[None]:
        (target,) = self.targets()
        for _ in range(TRIES_MAX):
            before = self._entered
            found = yield from read_targets(self, (target,), certain=True)
            snapshot = snapshot_of(target, found)
            if not snapshot.document.modify_index:
                if self._change_unused(limit, before):
                    return
                while self._is_entered():
                    yield Sleep(*QUICKER)
                continue
            if snapshot.document.limit == limit:
                break
            since = yield Wall()
            document = snapshot.document._replace(limit=limit)
            document, entering = admit_waiters(snapshot, document, frozenset(), AT_ONCE_MAX)
            operations = [op for each in entering for op in touch(target, each, since)]
            operations.append(write_document(target, snapshot, document))
            doing = f"resizing {self.key!r}"
            outcome = yield from self.client.api.transact(operations, doing, self.rule)
            if outcome.done:
                break
            yield Sleep(*QUICKER)
        else:
            raise too_busy(self.key, "resizing")
        self.adopt(limit)

    def _change_unused(self, limit: int, before: int) -> bool:
        """Change the limit of a semaphore that has none in Consul, as nobody uses it.

        Who uses it first brings its limit along.  That may be another call of this object, which is
        writing the old one just now, or has done so since ``before``: then there is one in Consul.
        """
        with self.client.mutex:
            unused = not self._is_entered() and self._entered == before
            if unused:
                self._set_limit(limit)
        if unused:
            self._relimit()
        return unused

    def agrees(self, limit: int) -> bool:
        """One that a change of this object has written is its own, before the answer has come."""
        return limit == self.limit or limit in list(self._coming.values())

    def adopt(self, limit: int) -> None:
        if limit != self.limit:
            with self.client.mutex:
                self._set_limit(limit)
            self._relimit()

    def _set_limit(self, limit: int) -> None:
        # In this order: who sees the new limit sees that it was changed.
        self.limit_changes += 1
        self.limit = limit

    def _relimit(self) -> None:
        (target,) = self.targets()
        self.client.local_queues.relimit(target.claim(1).resource, self.limit)

    def _is_entered(self) -> bool:
        """Whether a write is under way that enters."""
        with self.client.mutex:
            for attempt in list(self._entering):
                if not attempt.admitted:
                    self._entering.pop(attempt, None)  # it was cut off, and is undone
            return bool(self._entering)

    def begin_to_enter(self, attempt: WeightedAttempt, document: Document) -> bool:
        with self.client.mutex:
            if not document.modify_index and document.limit != self.limit:
                return False
            self._entering[attempt] = None
            self._entered += 1
        return True

    def end_of_entering(self, attempt: WeightedAttempt) -> None:
        with self.client.mutex:
            self._entering.pop(attempt, None)
