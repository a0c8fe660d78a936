"""The semaphore for asyncio."""

from __future__ import annotations

from typing import Self, Unpack

from consul_lock._async.client import Client
from consul_lock._async.lockable import LockLike, Timed
from consul_lock._async.runtime import LossOptions
from consul_lock._async.session import Session
from consul_lock._drivers.clock import clock
from consul_lock._protocol.flow import Job
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.keys import check_name
from consul_lock._protocol.weighted.semaphore import SemaphoreCore


class Semaphore(LockLike):
    """At most ``limit`` holders at once, in the whole datacenter: first come, first served.

    All users of a name have to agree on the limit; others get a `Conflict`, and
    `resize` changes it for all.  The keys are those of ``consul lock -n LIMIT NAME``, so each
    keeps to the limit of the other.

    One object may be held several times, by several tasks, as with `threading.Semaphore`, and one
    may acquire what others release.  ``held``, ``token``, ``lost`` and so on are about the hold
    that the calling task got last; if it never had one, about the oldest that is held.

    The slot of a holder that died is free when the lock-delay of its session is over, as with a
    lock, whatever the lock-delay of the next holder.  Consul enforces that; but clients
    of ``consul lock`` do not wait for it, and take the slot at once.

    Other options as for `Lock`.  Raises `ConfigError` for a limit below 1.
    """

    _core: SemaphoreCore

    def __init__(
        self,
        name: str,
        limit: int,
        *,
        client: Client | None = None,
        session: Session | None = None,
        **options: Unpack[LossOptions],
    ) -> None:
        check_name(name)
        settings = self._begin(client, session, **options)
        self._core = SemaphoreCore(self._client._core, name, limit, settings)

    @property
    def limit(self) -> int:
        """How many can hold it at once, as far as this object knows."""
        return self._core.limit

    async def acquire(
        self, blocking: bool = True, timeout: float | None = None, n: int = 1
    ) -> bool:
        """Acquire ``n`` slots or none; False if they could not be acquired within ``timeout``
        seconds.  They are one hold: released together, and lost together.

        Waiting for more slots takes no longer: no later waiter gets in before.  Raises
        as `Lock.acquire` does; `ConfigError` for more slots than there are, or more than 30;
        `Conflict` if others use another limit.
        """
        return await self._client._run(self._core.acquire(blocking, timeout, self._me(), n))

    def __call__(self, timeout: float | None = None, n: int = 1) -> Timed[Self]:
        """For ``async with semaphore(timeout=5, n=2):``, which raises `LockTimeout` after that."""
        return Timed(self, timeout, n)

    async def holders(self) -> list[Holder]:
        """Who holds it, by Consul's word, in the order of their coming."""
        return await self._client._run(Job(self._core.everybody()))

    async def slots(self) -> tuple[int, ...]:
        """The indexes of the held slots, from 0 to ``limit`` - 1: to pick one of several devices or
        ports.  ``(index,) = semaphore.slots()``; a hold of ``n`` slots has ``n`` of them.

        No two holders have the same index.  Not even after a crash: Consul keeps a dead
        holder's index for the lock-delay, so a call may have to wait for that long.  Clients of
        ``consul lock`` have no indexes, and the index of a slot may be above a limit that was
        lowered since.  If its key, ``NAME/.slot/NUMBER``, is deleted, the hold is lost.

        The first call of a hold costs one request, more if others ask at the same moment; without
        a call there is no cost.  Raises `NotHeld`, `LockLost`, `Unavailable`; `ConfigError` for
        a hold of more than 15 slots; `Conflict` if keys without a holder are in the way.
        """
        return await self._client._run(self._core.slots(clock(), self._me()))

    async def resize(self, limit: int) -> None:
        """Change the limit for all users, and admit the waiters for which there are slots then.

        A lower limit takes no slot away: others are admitted when enough are released.  Waiters
        follow the change; a client that comes later with the old limit gets a
        `Conflict`.  While the semaphore is not in use only this object is changed.
        """
        await self._client._run(self._core.resize(limit))
