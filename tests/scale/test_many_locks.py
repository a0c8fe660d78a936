"""One process waits for hundreds of locks, each held by somebody else."""

from __future__ import annotations

import logging
import random
import statistics
import threading
import time
from concurrent.futures import Future
from typing import Any

from consul_lock import Client, Lock, Session
from tests.scale.counter import Requests
from tests.scale.queue import queue_length
from tests.support.agent import Agent
from tests.support.callers import Callers, Tasks, close_all, reached
from tests.support.waiting import eventually

log = logging.getLogger(__name__)

LOCKS = 300

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 120.0

# Seconds from a release to the grant.  A client has 64 long polls; a waiter without one looks
# about once a second, so this is far more than it takes.
SOON = 20.0

LONG: dict[str, float] = {"ttl": 60.0, "lock_delay": 60.0}
"""Of the locks: with the default times, what was handed over is lost again when this process is
starved for a second and a half."""


class Waiting:
    """Waits for one lock, and says when it was acquired and how it stood then."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock
        self.freed_at: float | None = None
        self.had_at: float | None = None

    async def get(self) -> None:
        assert await reached(self.lock.acquire(timeout=PATIENCE))
        self.had_at = time.monotonic()
        assert self.freed_at is not None, f"{self.lock.name} was not free yet"
        assert self.lock.held

    async def let_go(self) -> None:
        await reached(self.lock.release())

    def delay(self) -> float:
        """Seconds from the beginning of the release to the grant."""
        assert self.freed_at is not None
        assert self.had_at is not None
        return self.had_at - self.freed_at


def test_each_of_300_locks_is_got_when_it_is_freed(
    quiet: Agent, callers: Callers, requests: Requests, fresh_name: str
) -> None:
    """And not before; Consul's limit of 200 connections for an address is not reached."""
    before = set(threading.enumerate())
    holder = Client(quiet.address)
    # They live and die together anyway: one session does.
    session = Session(holder)
    held = [Lock(f"{fresh_name}/{n}", client=holder, session=session) for n in range(LOCKS)]
    for lock in held:
        assert lock.acquire(timeout=0)
    client = callers.client(quiet.address)
    waiting = [Waiting(callers.lock(lock.name, client, **LONG)) for lock in held]
    futures: list[Future[Any]] = [callers.start(each.get()) for each in waiting]
    eventually(lambda: queue_length(quiet, fresh_name) == LOCKS, PATIENCE, message="all are queued")
    waiters = 0 if isinstance(callers, Tasks) else LOCKS
    assert callers.helpers().count("consul-lock-keeper") in (1, 2)
    assert len(set(threading.enumerate()) - before) <= waiters + 3

    _free_one_alone(held, waiting, futures)
    places = list(range(1, LOCKS))
    random.shuffle(places)
    for place in places:
        waiting[place].freed_at = time.monotonic()
        held[place].release()
    for future in futures:
        future.result(PATIENCE)
    delays = [each.delay() for each in waiting]
    log.info(
        "%s: 300 locks: median %.3f s, most %.3f s after the release; %s",
        callers.name, statistics.median(delays), max(delays), dict(requests.kinds),
    )  # fmt: skip
    assert max(delays) < SOON
    assert requests.failures == []

    for future in [callers.start(each.let_go()) for each in waiting]:
        future.result(PATIENCE)
    close_all(callers, [client])
    holder.close()
    assert quiet.sessions() == []
    assert quiet.keys(fresh_name) == []


def _free_one_alone(held: list[Lock], waiting: list[Waiting], futures: list[Future[Any]]) -> None:
    waiting[0].freed_at = time.monotonic()
    held[0].release()
    futures[0].result(PATIENCE)
    assert not any(future.done() for future in futures[1:])
