"""The read/write lock: many readers, or one writer beside nobody."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import QUICKER, TRIES_MAX, too_busy, until_let_go
from consul_lock._protocol.flow import Flow, Job, Sleep, Wall
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import read_targets
from consul_lock._protocol.weighted.document import ALL, READ_WRITE
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock._protocol.weighted.layout import Target
from consul_lock._protocol.weighted.operations import (
    admit,
    contend_operation,
    touch,
    write_document,
)
from consul_lock._protocol.weighted.snapshot import admit_waiters, snapshot_of


class SideCore(WeightedCore):
    """One side of a read/write lock: the readers', or the writers'."""

    def __init__(self, client: ClientCore, name: str, mode: str, settings: Settings) -> None:
        super().__init__(client, name, settings)
        self.limit = ALL
        self._mode = mode

    def targets(self) -> tuple[Target, ...]:
        return (Target(READ_WRITE, self.name, self._mode, ALL),)

    def downgrade(self, now: float, owner: Any) -> Job[None]:
        """Make a held write lock a read lock, with no moment between in which it is neither."""
        return Job(self._downgrade(self.ensure(now, owner)))

    def _downgrade(self, hold: Hold) -> Flow[None]:
        attempt = hold.attempt
        assert isinstance(attempt, WeightedAttempt)
        if attempt.downgraded:
            return
        demoted = yield from until_let_go(
            self.client, hold, lambda: self._demote(hold, attempt), patient=True
        )
        if not demoted:
            raise self.lost_error(hold)
        with self.client.mutex:
            attempt.claims = attempt.queues = tuple(
                claim._replace(weight=1) for claim in attempt.claims
            )
        self.client.local_queues.call_in(attempt)
        # The last of all: who is cut off can do it again.
        attempt.downgraded = True

    def _demote(self, hold: Hold, attempt: WeightedAttempt) -> Flow[bool]:
        """False: it is lost."""
        # From the first try on: if it is not answered, the weaker of the two is always true.
        attempt.targets = tuple(target._replace(mode="read") for target in attempt.targets)
        for _ in range(TRIES_MAX):
            if (yield from self._rewrite(hold, attempt, attempt.targets[0])).done:
                return True
            reason = yield from self.examine(hold, None, None)
            if reason is not None:
                yield from self.client.lose(hold, reason)
                return False
            yield Sleep(*QUICKER)
        raise too_busy(self.key, "downgrading")

    def _rewrite(self, hold: Hold, attempt: WeightedAttempt, target: Target) -> Flow[Any]:
        """Write the document with this holder as a reader, and admit the readers that wait."""
        found = yield from read_targets(self, (target,), certain=True)
        snapshot = snapshot_of(target, found)
        since = yield Wall()
        document = admit(snapshot.document, attempt, target)
        document, entering = admit_waiters(snapshot, document, frozenset(), 30)
        operations = self.proof(hold)[:1]
        value = attempt.value(target, since, inside=True)
        operations.append(contend_operation(target, attempt.leader, value))
        operations += [operation for each in entering for operation in touch(target, each, since)]
        operations.append(write_document(target, snapshot, document))
        request = self.client.api.transaction(operations, f"downgrading {self.key!r}", self.rule)
        return (yield from self.client.write(hold.session, request))


class ReadWriteCore:
    """Both sides of a read/write lock."""

    def __init__(self, client: ClientCore, name: str, settings: Settings) -> None:
        self.reader = SideCore(client, name, "read", settings)
        self.writer = SideCore(client, name, "write", settings)
