"""What threads wait for, and what an exception of a signal handler cannot break.

`threading.Event` takes its lock in Python code: a KeyboardInterrupt that strikes there in the
main thread leaves it locked, and the next thread that touches the event hangs for ever (seen
once in some thousand Ctrl-C).  Here every step is one call of a C function.
"""

from __future__ import annotations

import threading
import time

# Seconds after which a waiter looks again by itself: an exception may strike the thread that wakes
# the waiters between two of them.
_LOOK_AGAIN = 2.0


class ThreadEvent(threading.Event):
    """An event with the methods of `threading.Event`."""

    def __init__(self) -> None:
        # Not the parent's, which makes the lock that is to be avoided.
        self._set = False
        self._waiting: dict[threading.Lock, None] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'set' if self._set else 'unset'}>"

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._set

    def set(self) -> None:
        """It has happened: wake all who wait."""
        self._set = True
        for waiter in list(self._waiting):
            try:
                waiter.release()
            except RuntimeError:
                pass  # somebody else has woken this one

    def clear(self) -> None:
        """As if it had not happened."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most ``timeout`` seconds (None: for ever).  True if it is."""
        if self.is_set():
            return True
        end = None if timeout is None else time.monotonic() + timeout
        waiter = threading.Lock()
        waiter.acquire()
        try:
            # In this order: a thread that sets it after this look finds this waiter.
            self._waiting[waiter] = None
            woken = False
            while not (self.is_set() or woken):
                left = _LOOK_AGAIN if end is None else min(_LOOK_AGAIN, end - time.monotonic())
                if left <= 0:
                    break
                woken = waiter.acquire(timeout=left)
            return self.is_set() or woken
        finally:
            self._waiting.pop(waiter, None)
