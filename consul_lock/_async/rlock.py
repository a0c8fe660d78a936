"""The re-entrant lock for asyncio.  It decides nothing: a method runs a flow."""

from __future__ import annotations

from typing import Unpack

from consul_lock._async.client import Client
from consul_lock._async.lockable import LockLike
from consul_lock._async.runtime import LossOptions
from consul_lock._async.session import Session
from consul_lock._protocol.keys import keys_of_name
from consul_lock._protocol.lock.rlock import RLockCore


class RLock(LockLike):
    """A lock that its holder can acquire again, at once and without a request.

    It belongs to a thread, or in asyncio to a task, and is counted: the release that is the last
    one really releases.  To all others, also to a thread or task that its owner has started,
    it is taken, and they cannot release it (`NotHeld`).  Re-entrant is this very object: another
    one of the same name is another lock, whose acquire raises `AlreadyHeld`.  For options see
    `Lock`.

    If it is lost, every acquire and release of its owner raises `LockLost`, until it was
    released as many times as it was acquired.  So of nested ``with`` blocks each one that comes
    to its own end raises `LockLost`; one that an exception leaves, such as the `LockLost` of a
    block inside it, lets that pass.
    """

    _core: RLockCore

    def __init__(
        self,
        name: str,
        *,
        client: Client | None = None,
        session: Session | None = None,
        fair: bool = False,
        **options: Unpack[LossOptions],
    ) -> None:
        asked = self._begin(client, session, fair=fair, **options)
        self._core = RLockCore(self._client._core, keys_of_name(name), asked)

    @property
    def count(self) -> int:
        """How many times the caller has acquired it and not released it yet; 0: it has not."""
        return self._core.count(self._me())
