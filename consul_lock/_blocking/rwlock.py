# generated from consul_lock/_async/rwlock.py, by scripts/unasync.py; do not edit
"""The read/write lock for threads."""

from __future__ import annotations

from typing import Unpack

from consul_lock._blocking.client import Client
from consul_lock._blocking.lockable import LockLike, begin
from consul_lock._blocking.runtime import Options
from consul_lock._blocking.session import Session
from consul_lock._drivers.clock import clock
from consul_lock._protocol.flow import Job
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.keys import check_name
from consul_lock._protocol.weighted.rwlock import ReadWriteCore, SideCore


class ReadWriteLock:
    """Many readers, or one exclusive writer: first come, first served.

    ``with rw.read():`` and ``with rw.write():``; both are held like a `Lock`.  A reader that comes
    after a waiting writer waits behind it, so no writer waits for ever.

    Options as for `Lock`; they hold for both sides.
    """

    def __init__(
        self,
        name: str,
        *,
        client: Client | None = None,
        session: Session | None = None,
        **options: Unpack[Options],
    ) -> None:
        check_name(name)
        client, settings = begin(client, session, **options)
        sides = ReadWriteCore(client._core, name, settings)
        self._read = ReadLock(
            client,
            sides.reader,
        )
        self._write = WriteLock(
            client,
            sides.writer,
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

    It may be held by several threads at once, each with a hold of its own; ``held``, ``token`` and
    so on are about that of the calling thread.
    """

    _core: SideCore

    def __init__(
        self,
        client: Client,
        core: SideCore,
    ) -> None:
        self._client = client
        self._core = core

    def holders(self) -> list[Holder]:
        """Who holds the read/write lock, whichever side of it, by Consul's word."""
        return self._client._run(Job(self._core.everybody()))


class ReadLock(SideLock):
    """What `ReadWriteLock.read` gives: it is shared with other readers."""


class WriteLock(SideLock):
    """What `ReadWriteLock.write` returns: it is held exclusively."""

    def downgrade(self) -> None:
        """Become a reader, and admit others: no writer gets in between.

        It is released as before, here or by leaving the block.  There is no way back: two
        readers that both wait to become the writer would wait for ever.
        """
        self._client._run(self._core.downgrade(clock(), self._me()))
