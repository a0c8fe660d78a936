"""What one test has: an API, a server and a kind of lock; nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from consul_lock import LossReason
from tests.contract.lock_kinds import Kind
from tests.contract.operator import Operator
from tests.support.actors import Actor
from tests.support.apis import Face, Sync
from tests.support.session_remains import of_a_dead_one
from tests.support.waiting import eventually

LOCK_DELAY = 30.0
"""Seconds, of all locks here unless they say otherwise: no busy machine loses one."""

QUICK = {"lock_delay": 4.8}
"""Of one that is to be lost, or whose lock-delay has to pass: it is verified every 0.8 s."""

SELDOM = {"ttl": 600, "lock_delay": 0}
"""Of one that the keeper looks at every three minutes, and no test waits for that."""


class Room:
    """Makes clients, locks and actors, and clears them away."""

    def __init__(self, face: Face, operator: Operator, kind: Kind, name: str) -> None:
        self.face = face
        self.api = face.api
        self.operator = operator
        self.kind = kind
        self.name = name
        self.key = kind.layout.key(name)
        self.left: set[str] = set()
        """Keys that the test leaves on purpose."""
        self._ends: list[Callable[[], Any]] = []
        # Of earlier tests: what they have left may end meanwhile, and is no matter of this one.
        self._before, self._helpers_before = operator.sessions(), set(face.helpers())
        self._actors: list[Actor] = []
        self._clients: list[Sync] = []
        self.main = self.actor()
        self._own = self.client()

    def actor(self) -> Actor:
        """One more thread or task."""
        self._actors.append(self.face.actor())
        return self._actors[-1]

    def client(
        self, actor: Actor | None = None, *, address: str | None = None, **options: Any
    ) -> Sync:
        """One more client, as if of another process."""
        actor = actor or self.main
        made = actor.do(self.api.Client, address or self.operator.address, **options)
        self._clients.append(Sync(made, actor))
        return self._clients[-1]

    def lock(self, client: Sync | None = None, name: str | None = None, **options: Any) -> Sync:
        """A lock of the kind under test; without arguments it is the test's own."""
        client = client or self._own
        asked = {"lock_delay": LOCK_DELAY, **options}
        made = client.actor.do(self.kind.make, self.api, name or self.name, client.thing, asked)
        return Sync(made, client.actor)

    def others_lock(self, **options: Any) -> Sync:
        """The same lock for somebody else: another client, on an actor of its own."""
        return self.lock(self.client(self.actor()), **options)

    def holding(self, **options: Any) -> Sync:
        """The test's own lock, acquired."""
        lock = self.lock(**options)
        assert lock.acquire(timeout=30)
        return lock

    def at_end(self, undo: Callable[[], Any]) -> None:
        """Call this before looking whether anything is left."""
        self._ends.append(undo)

    def in_line(self, count: int) -> None:
        """Wait until the queue, if there is one, has so many waiters."""
        if self.kind.layout.has_line:
            eventually(lambda: self.waiting() == count, message=f"{count} queued")

    def waiting(self) -> int:
        """How many are in the queue now."""
        return self.kind.layout.waiting(self.operator, self.name)

    def owner(self) -> str | None:
        """The session that holds the test's own lock, by Consul's word."""
        return self.kind.layout.owner(self.operator, self.name)

    def take(self) -> str:
        """An operator holds the lock from now on, whatever it was before."""
        return self.kind.layout.take(self.operator, self.name)

    def clear(self, thief: str) -> None:
        """The operator does not hold it any more."""
        self.kind.layout.clear(self.operator, self.name, thief)

    def revoke(self) -> None:
        """An operator releases the lock in the name of its holder."""
        self.kind.layout.revoke(self.operator, self.name)

    def sessions(self) -> set[str]:
        """The ids of the sessions that this test has made, or let others make."""
        return self.operator.sessions() - self._before

    def helpers(self) -> set[str]:
        """The names of the library's threads or tasks that this test has started."""
        found = self.face.helpers().items()
        return {name for helper, name in found if helper not in self._helpers_before}

    def _has_no_helpers(self) -> bool:
        assert self.helpers() == set()
        return True

    def close(self) -> None:
        """Close all clients, and see that nothing is left of them."""
        for client in self._clients:
            client.close()
        for actor in self._actors:
            actor.close()
        for undo in self._ends:
            undo()
        eventually(self._has_no_helpers)
        keys = self.operator.keys(self.name)
        dead = {key for key, entry in keys.items() if of_a_dead_one(entry)} - self.left
        assert keys.keys() - dead == self.left
        assert self.sessions() == set()
        for key in self.left | dead:
            self.operator.delete(key)


def until_queued(asking: Sync, count: int) -> None:
    """Wait until so many wait for the lock, as one of its objects sees it."""
    eventually(lambda: len(asking.waiters()) == count, message=f"{count} wait")


def seen_to_wait(begin: Callable[[], Future[bool]], queued: Callable[[], bool]) -> Future[bool]:
    """Begin a wait that will be given up, and see it queued.

    Again, if it was over before this thread looked: no time is long enough on a busy machine.
    """
    for _ in range(20):
        waiting = begin()
        if eventually(lambda w=waiting: "queued" if queued() else w.done() and "over") == "queued":
            return waiting
        assert waiting.result() is False
    raise AssertionError("it was never seen in the queue")


def waiting_in_the_process(lock: Sync) -> int:
    """How many wait for this lock behind another thread or task of the same client."""
    queues = lock.thing._core.client.local_queues._queues
    # Who waits for several locks at once is in the queue of each.
    return len({id(each) for queue in list(queues.values()) for each in list(queue.waiting)})


class Told:
    """An ``on_lost`` that remembers its arguments."""

    def __init__(self) -> None:
        self.reasons: list[LossReason] = []

    def __call__(self, reason: LossReason) -> None:
        self.reasons.append(reason)
