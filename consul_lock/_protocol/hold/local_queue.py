"""The local queue: the order of acquires inside one process.

Threads or tasks of one client that want the same thing queue here, and only as many of them as
could have it contend in Consul: 200 threads that want one lock cost Consul one waiter.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from consul_lock._protocol.flow import Signal
from consul_lock._protocol.hold.hold import Attempt, Claim, Grant, OwnerHere


class LocalQueue:
    """Who of this process has a resource, or contends for it, and who waits behind."""

    def __init__(self) -> None:
        self.occupants: list[Attempt] = []
        self.waiting: list[Attempt] = []

    def admits(self, attempt: Attempt, claim: Claim, *, has_part: bool) -> bool:
        """Whether there is room for an attempt that claims so much.

        Those who wait may be waiting for what the same owner holds (``has_part``), and so may
        those who contend in Consul: behind them it would wait for itself.
        """
        left = claim.limit - claim.weight
        if left < 0:
            return True  # Consul will say that it wants more than there is
        for each in self.occupants:
            if each.hold is not None or not has_part:
                left -= _weight(each, claim.resource)
        if left < 0 or has_part:
            return left >= 0
        for each in self.waiting:
            if each is attempt:
                break
            left -= _weight(each, claim.resource)
            if left < 0:
                return False
        return True

    def holds(self, owner: Any) -> bool:
        """Whether a thread or task holds some of it."""
        return any(each.owner == owner and each.hold is not None for each in self.occupants)


def _weight(attempt: Attempt, resource: str) -> int:
    return sum(claim.weight for claim in attempt.queues if claim.resource == resource)


class LocalQueues:
    """First come, first served, for each resource."""

    def __init__(
        self, mutex: AbstractContextManager[Any], new_signal: Callable[[], Signal]
    ) -> None:
        self._mutex = mutex
        self._new_signal = new_signal
        self._queues: dict[str, LocalQueue] = {}

    def enter(self, attempt: Attempt) -> bool:
        """Take the turn.  False: others come first; an attempt that may wait is queued now."""
        with self._mutex:
            if self._admits(attempt, self._has_part(attempt)):
                self._admit(attempt)
                return True
            if attempt.blocking:
                attempt.signal = self._new_signal()
                for queue in attempt.queues:
                    self._queues.setdefault(queue.resource, LocalQueue()).waiting.append(attempt)
            return False

    def leave(self, attempt: Attempt) -> None:
        """Give up the turn, or the place in the queue; the next one gets it.  Can be repeated."""
        with self._mutex:
            attempt.admitted = False
            for claim in attempt.queues:
                queue = self._queues.get(claim.resource)
                if queue is None:
                    continue
                if attempt in queue.occupants:
                    queue.occupants.remove(attempt)
                if attempt in queue.waiting:
                    queue.waiting.remove(attempt)
            self.call_in(attempt)

    def owner_before(self, attempt: Attempt) -> OwnerHere | None:
        """Who of this process has what an attempt waits for."""
        with self._mutex:
            for claim in attempt.queues:
                queue = self._queues.get(claim.resource)
                for each in queue.occupants if queue is not None else ():
                    if each is not attempt and each.hold is not None:
                        return OwnerHere(each.about, each.hold.session.id)
        return None

    def call_in(self, attempt: Attempt) -> None:
        """Admit the waiters that can be admitted, now that this one needs less."""
        with self._mutex:
            for claim in attempt.queues:
                queue = self._queues.get(claim.resource)
                if queue is not None:
                    self._finish_admitting(queue)
                    if queue.waiting:
                        self._fill(queue, claim.resource)
                    if not queue.occupants and not queue.waiting:
                        del self._queues[claim.resource]

    def relimit(self, resource: str, limit: int) -> None:
        """There is more or less of something now, for those who are in or wait, too."""
        with self._mutex:
            queue = self._queues.get(resource)
            if queue is None:
                return
            for attempt in [*queue.occupants, *queue.waiting]:
                attempt.queues = attempt.claims = tuple(
                    claim._replace(limit=limit) if claim.resource == resource else claim
                    for claim in attempt.queues
                )
            self._fill(queue, resource)

    def withdraw(self, attempt: Attempt) -> bool:
        """Leave the queue.  False: the turn has just come, perhaps with the lock."""
        with self._mutex:
            if attempt.admitted:
                return False
            self.leave(attempt)
            return True

    def end(self) -> None:
        """Wake all who wait, for them to see that the client is closed."""
        with self._mutex:
            for queue in self._queues.values():
                for attempt in queue.waiting:
                    if attempt.signal is not None:
                        attempt.signal.set()

    def next_waiter(self, attempt: Attempt) -> Attempt | None:
        """Who waits next behind the only occupant and could take over its session."""
        with self._mutex:
            queue = self._queues.get(attempt.queues[0].resource)
            if (
                queue is not None
                and queue.waiting
                and queue.waiting[0].session_key == attempt.session_key
            ):
                return queue.waiting[0]
            return None

    def give(self, attempt: Attempt, next_waiter: Attempt, grant: Grant) -> bool:
        """Hand turn and lock over.  False if the next waiter has left in the meantime."""
        with self._mutex:
            queue = self._queues.get(attempt.queues[0].resource)
            if queue is None or not queue.waiting or queue.waiting[0] is not next_waiter:
                return False
            next_waiter.given = grant
            next_waiter.handed_over = True
            next_waiter.held_here = OwnerHere(attempt.about, grant.session.id)
            next_waiter.session = grant.session
            if not grant.session.shared:
                grant.session.borrower = next_waiter
            self.leave(attempt)
            return True

    def _fill(self, queue: LocalQueue, resource: str) -> None:
        for each in list(queue.waiting):
            has_part = self._has_part(each)
            if self._admits(each, has_part):
                self._admit(each)
            elif not all(
                queue.admits(each, claim, has_part=has_part)
                for claim in each.queues
                if claim.resource == resource
            ):
                return  # nobody behind it can be let in, either

    def _has_part(self, attempt: Attempt) -> bool:
        for claim in attempt.queues:
            queue = self._queues.get(claim.resource)
            if queue is not None and queue.holds(attempt.owner):
                return True
        return False

    def _admits(self, attempt: Attempt, has_part: bool) -> bool:
        for claim in attempt.queues:
            queue = self._queues.get(claim.resource)
            if queue is not None and not queue.admits(attempt, claim, has_part=has_part):
                return False
        return True

    def _finish_admitting(self, queue: LocalQueue) -> None:
        """Who gave up the turn may have been cut off while it admitted the next one."""
        for each in list(queue.occupants):
            if each.signal is not None and not each.signal.is_set():
                self._admit(each)

    def _admit(self, attempt: Attempt) -> None:
        # Can be repeated until the signal is set; and it is always in one of the two lists.
        for claim in attempt.queues:
            queue = self._queues.get(claim.resource)
            if queue is None:
                queue = self._queues[claim.resource] = LocalQueue()
            if attempt not in queue.occupants:
                queue.occupants.append(attempt)
            if attempt in queue.waiting:
                queue.waiting.remove(attempt)
        attempt.admitted = True
        if attempt.signal is not None:
            attempt.signal.set()
