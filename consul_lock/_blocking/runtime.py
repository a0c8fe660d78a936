"""What is written once for each API; here for threads: driver, default client, callers.

The same names are in ``consul_lock/_async/runtime.py``.  All other files of this folder are
generated from those of asyncio by ``scripts/unasync.py``.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from consul_lock._api.options import Options
from consul_lock._drivers.fork import forget_after_fork, notice_fork
from consul_lock._drivers.threads import ThreadDriver, close_all
from consul_lock._protocol.client.client import ClientCore
from consul_lock.config import Config

# `Options` are what everything that can be held has in common: no more than in both APIs.
__all__ = ["DefaultClient", "Options", "current_owner", "make_driver"]

# Twice: an interrupt that strikes while they are closed ends the first call, which prints it, and
# the second goes on.  A user who presses Ctrl-C once more does not want to wait.
atexit.register(close_all)
atexit.register(close_all)


def make_driver(config: Config) -> ThreadDriver:
    """The driver of a client."""
    return ThreadDriver(config)


def current_owner() -> Any:
    """The thread that asks: a weak reference to it."""
    notice_fork()  # each answer about a hold is one to somebody
    return weakref.ref(threading.current_thread())


# -- the default client ----------------------------------------------------------------------------


class HasCore(Protocol):
    """A client."""

    _core: ClientCore


C = TypeVar("C", bound=HasCore)


class DefaultClient(Generic[C]):
    """The client of locks that were given none: made from the environment at the first use."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._client: C | None = None
        self._mutex = threading.Lock()
        forget_after_fork(self)

    def get(self) -> C:
        """The one of this process."""
        with self._mutex:
            if self._client is None or self._client._core.closed:
                self._client = self._make()
            return self._client

    def forked(self) -> None:
        """In the child: another thread of the parent may have been making it, and is not here to
        release the mutex."""
        self._mutex = threading.Lock()
