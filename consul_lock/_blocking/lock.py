"""The lock for threads.  It decides nothing: a method runs a flow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from consul_lock._blocking.client import Client, default_client
from consul_lock._blocking.session import Session
from consul_lock._clock import clock
from consul_lock._face import LockFace, lock_core
from consul_lock._protocol.guard import Op
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.names import LockKeys, for_key, for_name
from consul_lock._protocol.records import Pair
from consul_lock.errors import LossReason


class Lock(LockFace):
    """A lock with one holder, in the whole datacenter: first come, first served.

    Use it in ``with``; the block never starts without the lock, and leaving it raises
    `LockLost` if the lock was lost meanwhile.  One object may be shared by threads; any of them
    may release it.  It is not re-entrant.

    ``ttl``, ``lock_delay``, ``checks`` and ``service_checks`` are those of its session (see
    `Session`); ``session`` shares one instead.  ``fair=True`` lines up even when the lock looks
    free.  ``watch=True`` notices a loss within milliseconds, by a long poll, instead of at the
    next renewal (3.3 s with the defaults).  ``meta`` and ``command`` are shown to others.
    ``on_lost(reason)`` is called once if it is lost, on the keeper's thread.

    What is not promised: that a process which is paused stops in time.  Whoever writes to a
    shared resource should pass the fencing `token` on and let the resource compare it.

    Raises `ConfigError` for a bad name or settings that contradict each other.
    """

    def __init__(
        self,
        name: str,
        *,
        client: Client | None = None,
        session: Session | None = None,
        ttl: float = 10.0,
        lock_delay: float = 30.0,
        checks: Iterable[str] = (),
        service_checks: Iterable[str] = (),
        fair: bool = False,
        watch: bool = False,
        meta: Mapping[str, str] | None = None,
        command: str | None = None,
        on_lost: Callable[[LossReason], Any] | None = None,
    ) -> None:
        self._set_up(
            for_name(name),
            client,
            session,
            ttl=ttl,
            lock_delay=lock_delay,
            checks=checks,
            service_checks=service_checks,
            fair=fair,
            watch=watch,
            meta=meta,
            command=command,
            on_lost=on_lost,
        )

    @classmethod
    def on_key(cls, key: str, **options: Any) -> Self:
        """A lock on exactly this key, as Go's ``api.LockKey`` has it; options as for `Lock`."""
        lock = cls("on-key", **options)
        settings, client = lock._settings, lock._client
        core = lock_core(client._core, for_key(key), lock._shared, **settings)
        lock._core = core
        return lock

    def _set_up(
        self, keys: LockKeys, client: Client | None, session: Session | None, **settings: Any
    ) -> None:
        self._client = client or (session._client if session else default_client())
        self._shared = session._core if session else None
        self._settings = settings
        self._core = lock_core(self._client._core, keys, self._shared, **settings)

    @property
    def lost(self) -> threading.Event:
        """Set when the present, or last, hold was lost; ``lost.wait(timeout)`` waits for it."""
        lost: threading.Event = self._core.lost  # type: ignore[assignment] # made by our driver
        return lost

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Acquire it; False if it was not to be had within ``timeout`` seconds.

        None and -1 wait for ever, 0 and ``blocking=False`` try once.  Raises `AlreadyHeld`
        rather than wait for oneself; `Conflict` if the key is used for something else;
        `Unavailable` if Consul fails for longer than ``retry_for``; `PermissionDenied`.
        Whatever is raised, Ctrl-C included, nothing of it is left behind in Consul.
        """
        me = threading.current_thread()
        return bool(self._client._run(self._core.acquire(blocking, timeout, me)))

    def release(self) -> None:
        """Release it, to the next in line if there is one.

        Raises `NotHeld`, `LockLost` if it was lost before, `Unavailable` if Consul cannot be
        reached: then it frees itself after twice the TTL and the lock-delay.
        """
        self._client._run(self._core.release(threading.current_thread()))

    def locked(self) -> bool:
        """Whether anybody holds it, by Consul's word."""
        return self.holder() is not None

    def holder(self) -> Holder | None:
        """Who holds it, by Consul's word; None: nobody."""
        found: Holder | None = self._client._run(self._core.holder())
        return found

    def waiters(self) -> list[Holder]:
        """Who waits for it, in order.  Clients of `consul lock` wait in no line."""
        found: list[Holder] = self._client._run(self._core.waiters())
        return found

    def guard(self, operations: Iterable[Op]) -> list[Pair]:
        """Carry out operations on keys, all or none, and none without the lock.

        One transaction that Consul refuses if our session does not hold the lock: a write that
        cannot happen late.  Returns the keys that were written or read.  Raises `LockLost`,
        `NotHeld`, `Conflict` if an operation was refused.
        """
        found: list[Pair] = self._client._run(self._core.guard(operations, clock()))
        return found

    def __call__(self, timeout: float | None = None) -> Timed:
        """For ``with lock(timeout=5):``, which raises `LockTimeout` after that."""
        return Timed(self, timeout)

    def __enter__(self) -> Self:
        self._client._run(self._core.enter(None, threading.current_thread()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client._run(self._core.leave(threading.current_thread(), kind is not None))


class Timed:
    """A lock, and how long to wait for it on entering the block."""

    def __init__(self, lock: Lock, timeout: float | None) -> None:
        self._lock = lock
        self._timeout = timeout

    def __enter__(self) -> Lock:
        lock = self._lock
        lock._client._run(lock._core.enter(self._timeout, threading.current_thread()))
        return lock

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.__exit__(kind, error, traceback)
