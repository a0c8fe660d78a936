"""A client that holds a lock through the trouble, and one that waits for it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from consul_lock import LossReason, Unavailable
from tests.support.callers import Callers, close_all, reached
from tests.support.event_log import SharedEventLog

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 180.0

ENDURES = 60.0
"""Seconds of TTL and lock-delay, which is as long as Consul allows.  Servers on a busy machine may
need several elections, and a hold that ends meanwhile, as it must, shows nothing."""


class Pair:
    """A holder and a waiter of one lock, each a client of its own, of one face."""

    def __init__(self, callers: Callers, address: str, name: str, events: SharedEventLog) -> None:
        self.callers = callers
        self.name = name
        self.told: list[LossReason] = []
        """What ``on_lost`` was called with."""
        self._events = events
        self._clients = [_patient_client(callers, address) for _ in range(2)]
        options = {"on_lost": self.told.append, "ttl": ENDURES, "lock_delay": ENDURES}
        self.holder = callers.lock(name, self._clients[0], **options)
        self._waiter = callers.lock(name, self._clients[1], **options)
        assert callers.start(reached(self.holder.acquire())).result(PATIENCE)
        self._waiting = callers.start(self._wait())

    async def _wait(self) -> None:
        await reached(self._waiter.acquire())
        with self._events.under(self.name, "waiter", self._waiter.token):
            assert self._waiter.held
        await reached(self._waiter.release())

    async def _let_go(self) -> None:
        with self._events.under(self.name, "holder", self.holder.token):
            assert self.holder.held
        await reached(self.holder.release())

    def stands(self) -> bool:
        """Nothing is lost: the holder holds, and the waiter waits."""
        lost = self.told or self.holder.lost.is_set()
        return self.holder.held and not lost and not self._waiting.done()

    def deadline(self) -> float:
        """Until when the holder's lock counts, by the monotonic clock."""
        return time.monotonic() + float(self.holder.remaining())

    def finish(self) -> None:
        """The holder releases; the waiter gets the lock and releases it, too."""
        self.callers.start(self._let_go()).result(PATIENCE)
        self._waiting.result(PATIENCE)
        close_all(self.callers, self._clients)
        assert self.told == []


def _patient_client(callers: Callers, address: str) -> Any:
    return callers.client(address, retry_for=PATIENCE)


class Worker:
    """Takes one and the same lock again and again, in turns with others."""

    def __init__(
        self, callers: Callers, address: str, name: str, who: str, events: SharedEventLog
    ) -> None:
        self._callers = callers
        self._client = _patient_client(callers, address)
        self._lock = callers.lock(name, self._client, ttl=ENDURES, lock_delay=ENDURES)
        self._enough = threading.Event()
        self._life: Future[Any] = callers.start(self._live(name, who, events))

    async def _live(self, name: str, who: str, events: SharedEventLog) -> None:
        while not self._enough.is_set():
            assert await reached(self._lock.acquire())
            # Time for others to come in wrongly.  A question is not tried again.
            with events.under(name, who, self._lock.token), suppress(Unavailable):
                await reached(self._lock.locked())
            await reached(self._lock.release())

    def finish(self) -> None:
        """No more after this turn.  Raises what went wrong in any."""
        self._enough.set()
        self._life.result(PATIENCE)
        close_all(self._callers, [self._client])
