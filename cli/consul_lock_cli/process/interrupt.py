"""Let a signal end something that blocks in the main thread: waiting for a lock, releasing it.

The library cleans up after any exception, so a signal becomes one: `Interrupted`.  The real
signals stay blocked everywhere; a helper thread fetches them and sends `WAKE` to the main
thread, whose handler raises.  A Python handler for SIGTERM itself would not do: the library
starts its keeper thread within the call, which would inherit an unblocked SIGTERM for ever.

    0.0 s   main thread: waits for the lock         signal thread: waits for signals
    7.0 s                                           fetches SIGTERM, sends `WAKE`
    7.0 s   the handler raises `Interrupted`;
            the library leaves the queue
    7.1 s   dies of SIGTERM, no lock left behind
    8.0 s                                           were it not done by now (`CLEAN_UP`), or at a
                                                    second signal: dies of it here

Why not look at a flag now and then: the main thread waits in a system call for the answer to a
blocking query, which takes seconds each time.  And a signal that comes a moment before that call
begins would be missed until it ends: so the thread sends `WAKE`, which interrupts the call, and
the handler raises.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from consul_lock_cli.process import libc
from consul_lock_cli.process.signals import (
    ENDING,
    STOPPING,
    WAKE,
    Signals,
    die_by,
    stop_by,
    swallow_echo,
)

T = TypeVar("T")

CLEAN_UP = 1.0
"""Seconds that cleaning up may take before the process dies all the same; a second signal ends it
too.  A session that is left behind ends by its TTL."""


class Interrupted(BaseException):
    """A signal asked the process to end."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.signum = signum


class OutOfTime(BaseException):
    """The time for it is over."""


def interruptible(
    signals: Signals,
    act: Callable[[], T],
    budget: float | None = None,
    on_interrupt: Callable[[int], object] = lambda signum: None,
    *,
    finish: bool = False,
) -> T:
    """Return ``act()``; raise `Interrupted` in it on a signal, `OutOfTime` after ``budget``.

    What ``act`` does while one of them passes through it must be done within `CLEAN_UP` seconds;
    if not, `OutOfTime` is raised in it again, or the process dies of the signal, and before that
    ``on_interrupt`` is called with it.  A signal that comes too late for ``act`` raises all the
    same: none is lost.  With ``finish`` the first signal leaves ``act`` `CLEAN_UP` seconds to come
    to its end by itself.
    """
    watch = _Watch(signals, budget, on_interrupt, finish)
    signal.signal(WAKE, watch.on_wake)
    watch.start()
    try:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {WAKE})
            return act()
        finally:
            watch.armed = False  # here it may strike for the last time
    finally:
        watch.armed = False
        signal.pthread_sigmask(signal.SIG_BLOCK, {WAKE})
        watch.stop()
        if watch.signum is not None:
            raise Interrupted(watch.signum)


class _Watch(threading.Thread):
    """Fetches signals while the main thread is busy."""

    def __init__(
        self,
        signals: Signals,
        budget: float | None,
        on_interrupt: Callable[[int], object],
        finish: bool,
    ) -> None:
        super().__init__(name="consul-lock-signals", daemon=True)
        self.armed = True
        self.signum: int | None = None
        self._caught = signals.caught
        self._end = None if budget is None else time.monotonic() + budget
        self._fired = False
        self._over = False
        self._on_interrupt = on_interrupt
        self._finish = finish
        self._main = threading.get_ident()

    def on_wake(self, *_: Any) -> None:
        """Handle `WAKE`, in the main thread: raise, and not for a `WAKE` of others."""
        if self.armed and self._fired:
            self._fired = False
            if self.signum is None:
                raise OutOfTime("Consul gave no answer in time")
            self.armed = False
            raise Interrupted(self.signum)

    def stop(self) -> None:
        """End this thread."""
        self._over = True
        assert self.ident is not None
        signal.pthread_kill(self.ident, WAKE)
        self.join()

    def run(self) -> None:
        """Turn the first signal into an exception of the main thread; then its time runs."""
        while not self._over:
            fetched = libc.receive(self._caught, self._time_left())
            if fetched is None:
                self._look_at_the_clock()
                continue
            signum, typed = fetched
            if signum in STOPPING:
                if not stop_by(signum) and not typed:
                    # The sender elsewhere can continue this process, though no shell can.
                    os.kill(os.getpid(), signal.SIGSTOP)
            elif signum in ENDING:
                self._asked_to_end(signum)
            # Anything else is meant for the command, which does not run: it is dropped.

    def _time_left(self) -> float:
        return 3600.0 if self._end is None else max(0.0, self._end - time.monotonic())

    def _asked_to_end(self, signum: int) -> None:
        if self.signum is not None:
            self._keep_waking()
            return
        swallow_echo(signum)
        self.signum = signum
        self._end = time.monotonic() + CLEAN_UP
        if not self._finish:
            self._fire()

    def _look_at_the_clock(self) -> None:
        if self._end is None or time.monotonic() < self._end:
            return
        if self.signum is not None:
            self._keep_waking()
            return
        # Cleaning up has its time, too, and is then cut off in the same way.
        self._end = time.monotonic() + CLEAN_UP
        self._fire()

    def _keep_waking(self) -> None:
        assert self.signum is not None
        if self._finish:
            # It was let go on, and is cut off now.
            self._finish = False
            self._end = time.monotonic() + CLEAN_UP
            self._fire()
            return
        self._on_interrupt(self.signum)
        die_by(self.signum)

    def _fire(self) -> None:
        self._fired = True
        signal.pthread_kill(self._main, WAKE)
