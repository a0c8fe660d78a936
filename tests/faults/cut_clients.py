"""Clients that are cut off, and what must be true of each of them afterwards."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError as FutureCancelled
from random import Random

from consul_lock import ConsulLockError, LockLost, NotHeld, Unavailable
from tests.faults.cuts import REQUEST_TIMEOUT, Cut
from tests.support.agent import Agent
from tests.support.apis import Face, sessions_of
from tests.support.proxy import Proxy

# How a call that was cut off may end, besides well.
_ENDS = (Unavailable, KeyboardInterrupt, asyncio.CancelledError, FutureCancelled)


class CutClient:
    """A client behind a proxy of its own, with one lock, and one cut."""

    def __init__(self, face: Face, agent: Agent, name: str, cut: Cut, random: Random) -> None:
        self.name = name
        self.cut = cut
        self.proxy = Proxy(agent.address)
        self.client = face.client(
            self.proxy.address,
            request_timeout=REQUEST_TIMEOUT,
            connect_timeout=REQUEST_TIMEOUT,
            # Errors are raised at once, or retried for a while.
            retry_for=random.choice([0.0, 2.0]),
        )
        self.lock = face.lock(name, self.client, lock_delay=2)

    def acquire(self, timeout: float) -> bool:
        """Acquire under the cut, which is over afterwards.  False also if it was cut off."""
        self.cut.arm(self.proxy, self.client)
        try:
            return bool(self.lock.acquire(timeout=timeout))
        except _ENDS:
            assert not self.lock.held, "an acquire that raised must not leave the lock held"
            return False
        finally:
            self.cut.disarm(self.proxy, self.client)

    def release(self) -> None:
        """Release under the cut."""
        self.cut.arm(self.proxy, self.client)
        try:
            self.let_go()
        except _ENDS:
            assert not self.lock.held  # what it leaves is looked for afterwards
        finally:
            self.cut.disarm(self.proxy, self.client)

    def get(self) -> None:
        """Acquire with nothing in the way."""
        assert self.lock.acquire(timeout=60)

    def let_go(self) -> None:
        """Release; an outage longer than the hold deadline may have cost the lock."""
        try:
            self.lock.release()
        except (LockLost, NotHeld):
            assert not self.lock.held

    def left(self, agent: Agent) -> list[str]:
        """The sessions of this client that it ought not to have any more.

        A clean one is kept for the next acquire for a while; that is no leftover.
        """
        pool = getattr(self.client, "inner", self.client)._core.pool
        idle = {session.id for sessions in pool._idle.values() for session in sessions}
        left = sessions_of(self.client, agent) - idle
        return [f"{session} of {self.name} ({self.cut!r})" for session in left]

    def close(self) -> None:
        """Close client and proxy."""
        try:
            self.client.close()
        except ConsulLockError:
            pass  # the test has failed already, and says why
        self.proxy.stop()
