"""A process that takes slots of one semaphore again and again, and writes down when it has them.

`python -m tests.stress.worker ADDRESS NAME LIMIT LOG`, until its standard input ends, which
it does with the test, however that ends.

What it writes (each event while nobody else can write, see `tests.support.event_log`):

* ``asks`` before each acquire, ``quits`` after one that came to nothing;
* ``begin`` and then, about each 20 ms, ``still``: **after having looked at `held`, with the log
  open.**  So each such event proves: at this place in the order of all events
  this process believed that it holds;
* ``end`` after the same look, before it calls `release`;
* ``lost`` when it looked and `held` was false: from then on it makes no claim; ``missed`` if
  that was the first look, directly after the acquire.

Nothing is claimed for the time after the last such look.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from pathlib import Path
from typing import Any

from consul_lock import Client, LockLost, Refused, Semaphore, Unavailable
from tests.support.event_log import OpenLog, SharedEventLog

TTL, LOCK_DELAY, HEARTBEAT = 10.0, 3.0, 1.0
"""Short, so that a slot of a dead process is free in some five seconds, not in half a minute."""

# Seconds between two looks.  Far less than the shortest wrong overlap that is to be seen.
_BEAT = 0.02

# Seconds: a hold is sometimes over at once, and never so long that few get a turn.
_LONGEST = 0.4


class Worker:
    """One semaphore, one client, one thread."""

    def __init__(self, semaphore: Any, limit: int, log: SharedEventLog) -> None:
        self._semaphore = semaphore
        self._limit = limit
        self._log = log
        self._who = str(os.getpid())
        self._hold = 0
        self._enough = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        sys.stdin.read()
        self._enough.set()

    def run(self) -> None:
        """Hold, let go, and again, until the input ends."""
        while not self._enough.is_set():
            self._hold += 1
            slots = random.choices(range(1, self._limit + 1), [0.85, 0.13, 0.02][: self._limit])[0]
            # Now and then one that gives up while it waits.
            timeout = random.choice([20.0, 20.0, 20.0, random.uniform(0, 2)])
            self._note("asks")
            try:
                acquired = self._semaphore.acquire(timeout=timeout, n=slots)
            except (Refused, Unavailable):  # twenty on a busy machine starve their heartbeats
                acquired = False
            if not acquired:
                self._note("quits")
            elif self._is_held("begin", slots):
                self._keep(random.uniform(0, _LONGEST))
            else:
                self._drop()

    def _keep(self, seconds: float) -> None:
        beats = int(seconds / _BEAT)
        while beats > 0 and not self._enough.wait(_BEAT):
            beats -= 1
            if not self._is_held("still"):
                return self._drop()
        if not self._is_held("end"):
            return self._drop()
        try:
            self._semaphore.release()
        except LockLost:
            self._note("late")
        except (Refused, Unavailable):
            pass  # its session ends by itself; the judge has its last look
        return None

    def _drop(self) -> None:
        """A hold that is lost is given back, too: that says so and sends nothing."""
        try:
            self._semaphore.release()
        except LockLost:
            return
        raise AssertionError("the release of a lost hold did not say so")

    def _is_held(self, what: str, slots: int = 0) -> bool:
        """Look, and write what was seen, while nobody else can write."""
        with self._log.open() as log:
            held = self._semaphore.held
            if held:
                self._write(log, what, slots)
            else:
                self._write(log, "missed" if what == "begin" else "lost", 0)
        return bool(held)

    def _note(self, what: str) -> None:
        with self._log.open() as log:
            self._write(log, what, 0)

    def _write(self, log: OpenLog, what: str, slots: int) -> None:
        taken = {
            "session": self._semaphore.session_id,
            "token": self._semaphore.token,
            "slots": slots,
        }
        log.note(what, self._who, hold=self._hold, **(taken if what == "begin" else {}))


def main(address: str, name: str, limit: str, log: str) -> None:
    """Work until stopped; a worker that is not killed leaves nothing behind."""
    with Client(address) as client:
        semaphore = Semaphore(
            name,
            int(limit),
            client=client,
            ttl=TTL,
            lock_delay=LOCK_DELAY,
            heartbeat=HEARTBEAT,
        )
        Worker(semaphore, int(limit), SharedEventLog(Path(log))).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
