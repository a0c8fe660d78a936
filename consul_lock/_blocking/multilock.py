# generated from consul_lock/_async/multilock.py, by scripts/unasync.py; do not edit
"""Several locks at once, for threads.  It decides nothing: a method runs a flow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from consul_lock._blocking.client import Client
from consul_lock._blocking.lockable import LockLike
from consul_lock._blocking.runtime import Options
from consul_lock._blocking.session import Session
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.multilock.base import keys_of_names
from consul_lock._protocol.multilock.multilock import MultiLockCore


class MultiLock(LockLike):
    """The locks of several names at once: all of them, or none.

    Each is the same as a `Lock` of that name, or a ``consul lock``, and excludes those.  They
    are taken in one transaction, so two that want the same names in another order never wait
    for each other.  While one name is taken nothing is held: it waits for that one, and then
    tries again.  So it is not first come, first served: a waiter for just one of the names can
    overtake it, again and again while others queue for that name.

    1 to 64 names, none of them twice and none above another one ("a" and "a/b").  There is one
    session and one `token` for all; the loss of one lock is the loss of all.  With ``watch=True``
    the loss of the first name is noticed within milliseconds, that of the others at the next
    renewal.  With n names a `guard` has room for 64 - n operations.  `waiters` is always empty.
    The other options are those of `Lock`, except for ``fair``.

    Raises `ConfigError` for bad names or settings that contradict each other.
    """

    _core: MultiLockCore

    def __init__(
        self,
        names: Iterable[str],
        *,
        client: Client | None = None,
        session: Session | None = None,
        **options: Unpack[Options],
    ) -> None:
        locks = keys_of_names(names)
        asked = self._begin(client, session, **options)
        self._core = MultiLockCore(self._client._core, locks, asked)

    @property
    def names(self) -> tuple[str, ...]:
        """The names it was made with."""
        return self._core.names

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys in Consul that are the locks, in the order of the names."""
        return self._core.keys

    def holders(self) -> dict[str, Holder]:
        """Who holds which of the names, by Consul's word; a name that is free is left out."""
        return self._client._run(self._core.holders())
