"""The read/write lock for asyncio."""

from __future__ import annotations

from typing import Unpack

from consul_lock._async.client import Client
from consul_lock._async.lockable import LockLike, begin
from consul_lock._async.runtime import Blocks, LossOptions
from consul_lock._async.session import Session
from consul_lock._drivers.clock import clock
from consul_lock._protocol.flow import Job
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.keys import check_name
from consul_lock._protocol.weighted.rwlock import ReadWriteCore, SideCore


class ReadWriteLock:
    """Many readers, or one exclusive writer: first come, first served.

    ``async with rw.read():`` and ``async with rw.write():``; both are held like a `Lock`.  A
    reader that comes after a waiting writer waits behind it, so no writer waits for ever.

    Options as for `Lock`; they hold for both sides.
    """

    def __init__(
        self,
        name: str,
        *,
        client: Client | None = None,
        session: Session | None = None,
        **options: Unpack[LossOptions],
    ) -> None:
        check_name(name)
        cancels = options.pop("cancel_on_loss", False)  # asyncio only
        client, settings = begin(client, session, **options)
        sides = ReadWriteCore(client._core, name, settings)
        self._read = ReadLock(
            client,
            sides.reader,
            cancels,  # asyncio only
        )
        self._write = WriteLock(
            client,
            sides.writer,
            cancels,  # asyncio only
        )

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self._read.name

    def read(self) -> ReadLock:
        """The readers' side: always the same object."""
        return self._read

    def write(self) -> WriteLock:
        """The writers' side: always the same object."""
        return self._write


class SideLock(LockLike):
    """One side of a read/write lock.

    It may be held by several tasks at once, each with a hold of its own; ``held``, ``token``
    and so on are about that of the calling task.
    """

    _core: SideCore

    def __init__(
        self,
        client: Client,
        core: SideCore,
        cancel_on_loss: bool,  # asyncio only
    ) -> None:
        self._client = client
        self._core = core
        # -- asyncio only
        if cancel_on_loss:
            self._blocks = Blocks()
        # -- both

    async def holders(self) -> list[Holder]:
        """Who holds the read/write lock, whichever side of it, by Consul's word."""
        return await self._client._run(Job(self._core.everybody()))


class ReadLock(SideLock):
    """What `ReadWriteLock.read` gives: it is shared with other readers."""


class WriteLock(SideLock):
    """What `ReadWriteLock.write` returns: it is held exclusively."""

    async def downgrade(self) -> None:
        """Become a reader, and admit others: no writer gets in between.

        It is released as before, here or by leaving the block.  There is no way back: two
        readers that both wait to become the writer would wait for ever.
        """
        await self._client._run(self._core.downgrade(clock(), self._me()))
