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

    All who use a name have to agree on the limit; `Conflict` tells whoever does not, and
    `resize` changes it for all.  The keys are those of ``consul lock -n LIMIT NAME``, so each
    keeps to the limit of the other.

    One object may be held several times, by several tasks, as with `threading.Semaphore`, and one
    may acquire what others release.  ``held``, ``token``, ``lost`` and so on are about the hold
    that the calling task got last; if it never had one, about the oldest that is held.

    The slot of a holder that died is free when the lock-delay of its session is over, as with a
    lock, whoever comes and with whatever lock-delay of its own.  Consul sees to that; but clients
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
        """Acquire ``n`` slots or none; False if they were not to be had within ``timeout``
        seconds.  They are one hold: released together, and lost together.

        Whoever wants more waits no longer for it: nobody who came later gets in before.  Raises
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
        """The numbers of our slots, from 0 to ``limit`` - 1: to pick one of so many devices or
        ports.  ``(number,) = semaphore.slots()``; of a hold of ``n`` slots there are ``n``.

        No two who hold it have the same number.  Not even after a crash: Consul keeps a dead
        holder's number for the lock-delay, so a call may have to wait for that long.  Clients of
        ``consul lock`` have no numbers, and the number of a slot may be above a limit that was
        lowered since.  If somebody deletes its key, ``NAME/.slot/NUMBER``, the hold is lost.

        The first call of a hold costs one request, more if others ask at the same moment; who
        never asks pays nothing.  Raises `NotHeld`, `LockLost`, `Unavailable`; `ConfigError` for
        a hold of more than 15 slots; `Conflict` if keys that nobody holds are in the way.
        """
        return await self._client._run(self._core.slots(clock(), self._me()))

    async def resize(self, limit: int) -> None:
        """Change the limit for everybody, and let in who fits in then.

        With a lower one nobody is thrown out: others get in when enough have left.  Whoever
        waits goes along with the change; whoever comes later with the old limit gets a
        `Conflict`.  While nobody uses the semaphore there is nothing to change but this object.
        """
        await self._client._run(self._core.resize(limit))
