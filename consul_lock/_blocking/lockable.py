# generated from consul_lock/_async/lockable.py, by scripts/unasync.py; do not edit
"""What everything that can be held offers.  A method runs a flow, and decides nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from consul_lock._api.lock_state import LockState
from consul_lock._api.options import require, settings
from consul_lock._blocking.client import Client, chosen
from consul_lock._blocking.runtime import current_owner
from consul_lock._blocking.session import Session
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

    _me = staticmethod(current_owner)

    def _begin(
        self,
        client: Client | None,
        session: Session | None,
        **options: Any,
    ) -> Settings:
        """Set up what all kinds have, and return checked settings."""
        self._client, asked = begin(client, session, **options)
        return asked

    @property
    def lost(self) -> threading.Event:
        """Set when the present, or last, hold was lost; ``lost.wait(timeout)`` waits for it."""
        lost: threading.Event = self._core.lost(self._me())  # type: ignore[assignment] # made by the driver
        return lost

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Acquire it; False if it could not be acquired within ``timeout`` seconds.

        None and -1 wait for ever, 0 and ``blocking=False`` try once.  If Consul does not answer it
        takes a second longer at most; a single try takes the ``connect_timeout`` and that second.
        Raises `AlreadyHeld` rather than wait for oneself without a timeout; `Conflict` if the key
        is used for something else; `Unavailable` if Consul fails for longer than ``retry_for``
        before it is in the queue, or when its time is over; `Refused`; `PermissionDenied`.
        Whatever is raised, Ctrl-C included, nothing of it is left behind in Consul.
        """
        return self._client._run(self._core.acquire(blocking, timeout, self._me()))

    def release(self) -> None:
        """Release it, to the next waiter if there is one: the hold of the caller, or else the
        oldest one of this object.

        Raises `NotHeld`, `LockLost` if it was lost before, `Unavailable` if Consul cannot be
        reached: then it frees itself after twice the TTL and the lock-delay.
        """
        self._client._run(self._core.release(self._me()))

    def _release_abandoned(self, session_ids: Iterable[str]) -> None:
        """Release it, or leave its queue, for a process that has died with these sessions, and end
        them.  For the guardian of the command, which knows that nothing works under it any more."""
        self._client._run(self._core.release_abandoned(session_ids))

    def locked(self) -> bool:
        """Whether anybody holds it, by Consul's word."""
        return self.holder() is not None

    def holder(self) -> Holder | None:
        """Who holds it, according to Consul; None: nobody."""
        return self._client._run(self._core.holder())

    def waiters(self) -> list[Holder]:
        """Who waits for it, in order.  Clients of `consul lock` wait in no queue."""
        return self._client._run(self._core.waiters())

    def guard(self, operations: Iterable[Op]) -> list[Pair]:
        """Carry out operations on keys, all or none, and none without the lock.

        One transaction that Consul refuses if this session does not hold the lock: a write that
        cannot happen late.  Returns the keys that were written or read.  Raises `LockLost`,
        `NotHeld`, `Conflict` if an operation was refused.
        """
        return self._client._run(self._core.guard(operations, clock(), self._me()))

    def __call__(self, timeout: float | None = None) -> Timed[Self]:
        """For ``with lock(timeout=5):``, which raises `LockTimeout` after that."""
        return Timed(self, timeout)

    def __enter__(self) -> Self:
        self._client._run(self._core.enter(None, self._me()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client._run(self._core.leave(self._me(), error))


class Timed(Generic[L]):
    """Something to hold, and how long to wait for it on entering the block."""

    def __init__(self, lock: L, timeout: float | None, n: int = 1) -> None:
        self._lock = lock
        self._timeout = timeout
        self._n = n

    def __enter__(self) -> L:
        lock = self._lock
        lock._client._run(lock._core.enter(self._timeout, lock._me(), self._n))
        return lock

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.__exit__(kind, error, traceback)
