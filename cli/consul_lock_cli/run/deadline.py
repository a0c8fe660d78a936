"""A lock, as the supervisor sees it: how long may the command run?"""

from __future__ import annotations

import math
import signal
import threading
from typing import TYPE_CHECKING, Any

from consul_lock_cli.base.clock import now
from consul_lock_cli.process.signals import WAKE

if TYPE_CHECKING:
    from consul_lock_cli.spec.lock import Lockable


class LockDeadline:
    """The time that a lock leaves, also after its loss.

    Whatever takes the lock away, Consul lets nobody in before its deadline (the lock-delay).
    So the last deadline that was seen while it was held stays the time to be done by.
    """

    def __init__(self) -> None:
        self._lock: Lockable | None = None
        self._deadline = 0.0
        self._main = threading.get_ident()

    def watch(self, lock: Lockable) -> None:
        """Say which lock."""
        self._lock = lock

    def remaining(self) -> float:
        """Seconds until the command must be dead."""
        moment = now()
        left = 0.0 if self._lock is None else self._lock.remaining()
        if left > 0:
            self._deadline = moment + left
        return max(0.0, self._deadline - moment)

    def lost(self) -> bool:
        """Whether the loss is known already."""
        return self._lock is None or self._lock.lost.is_set()

    def wake(self, reason: Any) -> None:
        """On a loss, from the keeper's thread: wake the supervisor."""
        # To the main thread, not to the process: other threads do not block WAKE.
        signal.pthread_kill(self._main, WAKE)


class NoDeadline:
    """Nothing is held, so nothing can be lost."""

    def remaining(self) -> float:
        """For ever."""
        return math.inf

    def lost(self) -> bool:
        """Never."""
        return False
