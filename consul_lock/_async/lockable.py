"""What everything that can be held offers.  A method runs a flow, and decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from consul_lock._api.lock_state import LockState
from consul_lock._api.options import require, settings
from consul_lock._async.client import Client, chosen
from consul_lock._async.runtime import Blocks, current_owner
from consul_lock._async.session import Session
from consul_lock._drivers.clock import clock
from consul_lock._drivers.fork import notice_fork
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.consul.operations import Op
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.primitive.primitive import Settings

L = TypeVar("L", bound="LockLike")


def begin(
    client: Client | None, session: Session | None, **options: Any
) -> tuple[Client, Settings]:
    """The client to use, and checked settings."""
    notice_fork()  # what is made now says of which process it is
    shared = shared_by(client, session)
    client = session._client if client is None and session is not None else chosen(client)
    return client, settings(client._core, shared, **options)


def shared_by(client: Client | None, session: Session | None) -> SharedSession | None:
    """The session that is shared on purpose.  Raises `TypeError` for what is of another API."""
    require("client", client, Client)
    require("session", session, Session)
    return None if session is None else session._core


class LockLike(LockState):
    """Something that is acquired, held and released: see `Lock`."""

    _client: Client
    # -- asyncio only
    _blocks: Blocks | None = None
    """Blocks that were entered and not left; None: blocks are not cancelled."""
    # -- both

    _me = staticmethod(current_owner)

    def _begin(
        self,
        client: Client | None,
        session: Session | None,
        *,  # asyncio only
        cancel_on_loss: bool = False,  # asyncio only
        **options: Any,
    ) -> Settings:
        """Set up what all kinds have, and return checked settings."""
        self._client, asked = begin(client, session, **options)
        # -- asyncio only
        if cancel_on_loss:
            self._blocks = Blocks()
        # -- both
        return asked

    @property
    def lost(self) -> asyncio.Event:
        """Set when the present, or last, hold was lost; ``await lost.wait()`` waits for it."""
        lost: asyncio.Event = self._core.lost(self._me())  # type: ignore[assignment] # made by the driver
        return lost

    async def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Acquire it; False if it could not be acquired within ``timeout`` seconds.

        None and -1 wait for ever, 0 and ``blocking=False`` try once.  If Consul does not answer it
        takes a second longer at most; a single try takes the ``connect_timeout`` and that second.
        Raises `AlreadyHeld` rather than wait for oneself without a timeout; `Conflict` if the key
        is used for something else; `Unavailable` if Consul fails for longer than ``retry_for``
        before it is in the queue, or when its time is over; `Refused`; `PermissionDenied`.
        Whatever is raised, a cancelled task included, nothing of it is left behind in Consul.
        """
        return await self._client._run(self._core.acquire(blocking, timeout, self._me()))

    async def release(self) -> None:
        """Release it, to the next waiter if there is one: the hold of the caller, or else the
        oldest one of this object.

        Raises `NotHeld`, `LockLost` if it was lost before, `Unavailable` if Consul cannot be
        reached: then it frees itself after twice the TTL and the lock-delay.
        """
        await self._client._run(self._core.release(self._me()))

    async def _release_abandoned(self, session_ids: Iterable[str]) -> None:
        """Release it, or leave its queue, for a process that has died with these sessions, and end
        them.  For the guardian of the command, which knows that nothing works under it any more."""
        await self._client._run(self._core.release_abandoned(session_ids))

    async def locked(self) -> bool:
        """Whether anybody holds it, by Consul's word."""
        return await self.holder() is not None

    async def holder(self) -> Holder | None:
        """Who holds it, according to Consul; None: nobody."""
        return await self._client._run(self._core.holder())

    async def waiters(self) -> list[Holder]:
        """Who waits for it, in order.  Clients of `consul lock` wait in no queue."""
        return await self._client._run(self._core.waiters())

    async def guard(self, operations: Iterable[Op]) -> list[Pair]:
        """Carry out operations on keys, all or none, and none without the lock.

        One transaction that Consul refuses if this session does not hold the lock: a write that
        cannot happen late.  Returns the keys that were written or read.  Raises `LockLost`,
        `NotHeld`, `Conflict` if an operation was refused.
        """
        return await self._client._run(self._core.guard(operations, clock(), self._me()))

    def __call__(self, timeout: float | None = None) -> Timed[Self]:
        """For ``async with lock(timeout=5):``, which raises `LockTimeout` after that."""
        return Timed(self, timeout)

    async def __aenter__(self) -> Self:
        await self._client._run(self._core.enter(None, self._me()))
        # -- asyncio only
        if self._blocks is not None:
            self._blocks.enter(self._me(), self._core.owners.own(self._me()))
        # -- both
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # -- asyncio only
        lost = self._blocks.leave(self._me(), error) if self._blocks is not None else None
        # -- both
        await self._client._run(self._core.leave(self._me(), error))
        # -- asyncio only
        if lost is not None:
            raise self._core.lost_error(lost) from error
        # -- both


class Timed(Generic[L]):
    """Something to hold, and how long to wait for it on entering the block."""

    def __init__(self, lock: L, timeout: float | None, n: int = 1) -> None:
        self._lock = lock
        self._timeout = timeout
        self._n = n

    async def __aenter__(self) -> L:
        lock = self._lock
        await lock._client._run(lock._core.enter(self._timeout, lock._me(), self._n))
        # -- asyncio only
        if lock._blocks is not None:
            lock._blocks.enter(lock._me(), lock._core.owners.own(lock._me()))
        # -- both
        return lock

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._lock.__aexit__(kind, error, traceback)
