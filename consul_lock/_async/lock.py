"""The lock for asyncio.  It decides nothing: a method runs a flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, Unpack

from consul_lock._api.listeners import OnEvent
from consul_lock._api.options import known, settings
from consul_lock._async.client import Client
from consul_lock._async.lockable import LockLike, shared_by
from consul_lock._async.runtime import LossOptions
from consul_lock._async.session import Session
from consul_lock._protocol.holder import Meta, OwnerInfo, merged_meta
from consul_lock._protocol.keys import LockKeys, keys_of_key, keys_of_name
from consul_lock._protocol.lock.lock import LockCore
from consul_lock.errors import ConfigError, LossReason


class LockOptions(LossOptions, total=False):
    """All options of `Lock`, by keyword."""

    client: Client | None
    session: Session | None
    fair: bool
    tree: bool


class Lock(LockLike):
    """A lock with one holder, in the whole datacenter: first come, first served.

    Use it in ``async with``; the block never starts without the lock, and leaving it raises
    `LockLost` if the lock was lost meanwhile.  It is not re-entrant.

    One object may be shared by tasks.  `held`, `token`, `lost`, `guard` and so on are about the
    hold of the caller: after a loss it sees that loss until it acquires again, also if another one
    holds the lock by then.  Any of them may release it: a caller without a hold of its own releases
    the oldest there is, and is answered about that one if it never had any.

    ``ttl``, ``lock_delay``, ``checks``, ``service_checks`` and ``heartbeat`` are those of its
    session (see `Session`); ``session`` shares one instead.  ``fair=True`` queues even when the
    lock looks free.  ``watch=True`` notices a loss within milliseconds, by a long poll, instead
    of at the next renewal (3.3 s with the defaults).  ``meta`` and ``command`` are shown to others.
    ``tree=True`` makes it a lock on a node of a tree: it excludes every tree lock above and below
    it in the path ("user/42" those of "user" and "user/42/cart", not of "user/43"), and what
    `ReadWriteLock` does with its name.  Plain locks with such names are something else.
    ``on_lost(reason)`` is called once if it is lost, on the loop; an ``async`` one runs as a task.
    A function with a parameter ``error`` is given the `LockLost`, too, with what renewals failed
    with.
    ``on_event`` and a function as ``meta`` are as for `Client`, for this lock alone.
    With ``cancel_on_loss=True`` the task in an ``async with`` block is cancelled when the lock is
    lost, and the block raises `LockLost`, as `asyncio.timeout` does at its time; without it the
    block runs to its end first.

    What is not promised: that a process which is paused stops in time.  Programs that write to a
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
        heartbeat: float | None = None,
        fair: bool = False,
        tree: bool = False,
        watch: bool = False,
        meta: Meta = None,
        command: str | None = None,
        on_lost: Callable[[LossReason], Any] | None = None,
        on_event: OnEvent = None,
        cancel_on_loss: bool = False,  # asyncio only
    ) -> None:
        self._set_up(
            keys_of_name(name),
            client,
            session,
            tree,
            ttl=ttl,
            lock_delay=lock_delay,
            checks=checks,
            service_checks=service_checks,
            heartbeat=heartbeat,
            fair=fair,
            watch=watch,
            meta=meta,
            command=command,
            on_lost=on_lost,
            on_event=on_event,
            cancel_on_loss=cancel_on_loss,  # asyncio only
        )

    @classmethod
    def on_key(cls, key: str, **options: Unpack[LockOptions]) -> Self:
        """A lock on exactly this key, as Go's ``api.LockKey`` has it; options as for `Lock`."""
        known(options, LockOptions.__annotations__, "on_key")
        if options.get("tree"):
            raise ConfigError(
                "tree=True needs a name with a path: one key has none",
                kind="value",
                settings=("tree",),
            )
        lock = cls("on-key", **options)
        lock._core = LockCore(lock._client._core, keys_of_key(key), lock._settings)
        return lock

    def _set_up(
        self,
        keys: LockKeys,
        client: Client | None,
        session: Session | None,
        tree: bool,
        **options: Any,
    ) -> None:
        self._settings = self._begin(client, session, **options)
        if tree:
            # A tree lock is made of what semaphores are made of; other locks load none of it.
            from consul_lock._protocol.weighted.tree import TreeCore

            self._core = TreeCore(self._client._core, keys, self._settings)
        else:
            self._core = LockCore(self._client._core, keys, self._settings)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise for what `Lock` would refuse, without a lock and without a client."""
    rest: dict[str, Any] = {**options}
    client, session = rest.pop("client", None), rest.pop("session", None)
    shared = shared_by(client, session)
    if rest.pop("tree", False):
        from consul_lock._protocol.weighted.tree import path

        path(name)
    rest.pop("cancel_on_loss", None)  # asyncio only
    asked = settings(None if client is None else client._core, shared, **rest)
    OwnerInfo({}, asked.terms, merged_meta(asked.meta, asks=False), asked.command)
