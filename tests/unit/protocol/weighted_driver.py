"""A driver for semaphores, read/write and tree locks, and scenes: flows about to be performed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from consul_lock._protocol import keys as names
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Job, Request
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock._protocol.weighted.rwlock import ReadWriteCore, SideCore
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from consul_lock._protocol.weighted.tree import TreeCore
from consul_lock.errors import LockLost, LossReason, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.cut_points import resumed
from tests.unit.protocol.fake_driver import FakeDriver, verbs, waits

BESIDE = "beside/.lock"
"""A lock that is held with a shared session."""


NO_ANSWER = Unavailable("no answer came")

CHANGING = {"lock", "cas", "delete", "delete-cas"}


def everything(lock: WeightedCore) -> int:
    """How much of it there is, for one who wants it all."""
    return 2 if isinstance(lock, SemaphoreCore) else 1


class WeightedDriver(FakeDriver):
    """A driver for what has a document of its holders."""

    def __init__(self) -> None:
        super().__init__()
        self.rivals: list[WeightedCore] = []
        self.waiters: list[Job] = []

    def semaphore(self, client: ClientCore | None = None, **settings: Any) -> SemaphoreCore:
        asked = Settings(terms.session_options(), **settings)
        return SemaphoreCore(client or self.client(), "slots", 2, asked)

    def writer(self, client: ClientCore | None = None) -> SideCore:
        return ReadWriteCore(
            client or self.client(), "a/b", Settings(terms.session_options())
        ).writer

    def reader(self, client: ClientCore | None = None) -> SideCore:
        return ReadWriteCore(
            client or self.client(), "a/b", Settings(terms.session_options())
        ).reader

    def tree(self, client: ClientCore | None = None) -> TreeCore:
        return TreeCore(
            client or self.client(), names.keys_of_name("a/b/c"), Settings(terms.session_options())
        )

    def rival(self, lock: WeightedCore) -> WeightedCore:
        """Of another client, and in the way."""
        made: WeightedCore
        if isinstance(lock, SemaphoreCore):
            made = self.semaphore()
        else:
            made = self.writer() if isinstance(lock, SideCore) else self.tree()
        self.rivals.append(made)
        return made

    def rivals_leave(self) -> None:
        """Those that hold something release it; what they have lost is taken away."""
        while self.waiters:
            waiter = self.waiters.pop()
            waiter.flow.close()
            assert waiter.undo is not None
            self.run(waiter.undo())
        for rival in self.rivals:
            if rival.hold is not None and not rival.hold.over:
                try:
                    self.run(rival.release("other"))
                except LockLost:
                    continue

    def acquire_all(self, lock: WeightedCore, timeout: float | None = None) -> Any:
        """Acquire all that there is, as another client that reads before it releases."""
        job = lock.acquire(timeout != 0, timeout or None, "other", everything(lock))
        had = self.run(job)
        if lock.hold is not None:
            lock.hold.contended = True
        return had

    def wait_in_queue(self, lock: WeightedCore) -> None:
        """Wait behind those who are there."""
        job = lock.acquire(True, None, "other", everything(lock))
        self.until(job.flow, waits)
        self.waiters.append(job)

    def documents(self) -> dict[str, bytes]:
        """All documents."""
        kv = self.world._server.kv.entries
        ours = (key for key in kv if key.endswith("/.lock") and key != BESIDE)
        return {key: kv[key].value for key in ours}

    def holders_in_documents(self) -> dict[str, set[str]]:
        """Who is in each document."""
        return {key: set(json.loads(value)["Holders"]) for key, value in self.documents().items()}

    def sessions_of(self, client: ClientCore) -> set[str]:
        """All sessions that a client has made and may use, but those that are shared."""
        sessions = [*client.pool.live.values(), *client.pool.to_destroy.values()]
        return {session.id for session in sessions if not session.shared}

    def in_queue(self, lock: WeightedCore) -> dict[str, Any]:
        """The contender keys of one that waits, and what Consul knows of each."""
        mine, entries = self.sessions_of(lock.client), self.world._server.kv.entries
        return {key: entry for key, entry in entries.items() if entry.session in mine}

    def traces(self) -> set[str]:
        """All sessions that are in a document, or in a line."""
        owners = {owner for key, owner in self.held().items() if key != BESIDE}
        return owners.union(*self.holders_in_documents().values()) - {""}

    def keep(self, client: ClientCore) -> None:
        """The work of a keeper in a minute, as far as lost holds and dead sessions go."""
        self.world.advance(60.0)
        for attempt in client.cleanups.due(self.world.now):
            self.run(client.cleanups.clear(attempt))
        self.run(client.pool.sweep(self.world.now))


class Scene(NamedTuple):
    """A driver, and a flow about to be performed by it."""

    driver: WeightedDriver
    lock: WeightedCore
    job: Job
    n: int = 1
    lost: bool = False
    """The hold is lost, so the keeper may delete the rest."""


def acquire(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    driver = WeightedDriver()
    lock = kind(driver)
    return Scene(driver, lock, lock.acquire(True, None, "me", n), n)


def acquire_again(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    """With sessions at hand."""
    scene = release(kind, n)
    scene.driver.run(scene.job)
    return scene._replace(job=scene.lock.acquire(True, None, "me", n))


def acquire_after_waiting(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    """Let in by a holder that leaves."""
    scene = acquire(kind, n)
    driver = scene.driver
    driver.acquire_all(driver.rival(scene.lock))
    driver.when_blocked = driver.rivals_leave
    return scene


def acquire_after_a_dead_one(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    """Its slot is had a moment later, when the lock-delay is over."""
    scene = acquire(kind, n)
    scene.driver.acquire_all(scene.driver.rival(scene.lock))
    for session in scene.driver.sessions():
        operator(scene.driver.world, f"/v1/session/destroy/{session}")
    scene.driver.world.advance(28.0)
    return scene


def acquire_that_gives_up(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    scene = acquire(kind, n)
    scene.driver.acquire_all(scene.driver.rival(scene.lock))
    return scene._replace(job=scene.lock.acquire(True, 3.0, "me", n))


def acquire_after_no_answer(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    """The entering was carried out, and its answer lost."""
    scene = acquire(kind, n)
    flow = scene.job.flow
    scene.driver.world.submit(scene.driver.until(flow, changing))
    return scene._replace(job=Job(resumed(flow, flow.throw(NO_ANSWER)), scene.job.undo))


def release(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    scene = acquire(kind, n)
    scene.driver.run(scene.job)
    return scene._replace(job=scene.lock.release("me"))


def release_to_the_next(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    """There were others when it was acquired, so it looks before it releases, and lets one in."""
    scene = acquire_after_waiting(kind, n)
    scene.driver.run(scene.job)
    for _ in range(2):
        scene.driver.wait_in_queue(scene.driver.rival(scene.lock))
    return scene._replace(job=scene.lock.release("me"))


def release_of_what_is_lost(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    """Its first session is dead, and nobody has noticed."""
    scene = release(kind, n)
    assert scene.lock.hold is not None
    operator(scene.driver.world, f"/v1/session/destroy/{scene.lock.hold.session.id}")
    return scene._replace(lost=True)


def release_of_what_was_lost(kind: Callable[[WeightedDriver], WeightedCore], n: int = 1) -> Scene:
    """The keeper has noticed."""
    scene = release_of_what_is_lost(kind, n)
    assert scene.lock.hold is not None
    scene.driver.run(scene.lock.client.lose(scene.lock.hold, LossReason.SESSION_INVALID))
    return scene


def changing(request: Request) -> bool:
    """Whether it is a transaction that changes something."""
    return bool(CHANGING & set(verbs(request)))


def leaves(request: Request) -> bool:
    """Whether it takes somebody out of a queue, or out of a document."""
    return bool({"delete", "delete-cas"} & set(verbs(request)))


def shared(driver: WeightedDriver) -> WeightedCore:
    """A semaphore with a session that a lock holds something with, too."""
    client = driver.client()
    session = SharedSession(client, terms.session_options())
    driver.acquire(driver.lock(client, "beside", shared=session))
    return driver.semaphore(client, shared=session)
