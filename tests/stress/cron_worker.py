"""A host with one line in its crontab, as a process of its own, with a clock of its own.

`python -m tests.stress.cron_worker ADDRESS NAME LEDGER SETTINGS`.  It says "ready", reads a time on
its standard input, then claims one slot after the other (an ID, or so many seconds after that
time), and writes a line into the ledger for each that it runs.

The clock is injected: `time.time`, which is all that the library asks for the time of day, is ahead
by ``skew`` seconds, and is stepped by ``step`` seconds in the middle.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from consul_lock import Client, CronGuard, CronRun, Lock
from tests.support.waiting import eventually

# Seconds: ends a worker that has failed, and nothing else.
PATIENCE = 120.0


class Worker:
    """One host."""

    def __init__(self, client: Client, name: str, ledger: Path, settings: dict[str, Any]) -> None:
        self._client = client
        self._name = name
        self._ledger = ledger
        self._slots: list[float | str] = settings.pop("slots")
        self._work: float = settings.pop("work", 0.05)
        self._step: float = settings.pop("step", 0.0)
        self._skew: float = settings.pop("skew", 0.0)
        self._options: dict[str, Any] = settings

    def run(self) -> None:
        """Claim each slot when its time has come by the clock here, or at once if it is an ID."""
        first = float(sys.stdin.readline())
        right = time.time
        time.time = lambda: right() + self._skew
        for place, slot in enumerate(self._slots):
            if place == len(self._slots) // 2:
                self._skew += self._step
            if isinstance(slot, str):
                self._claim(CronGuard(self._name, client=self._client, slot=slot, **self._options))
                continue
            begins = first + slot
            eventually(lambda: time.time() >= begins, PATIENCE)  # noqa: B023 - called at once
            self._claim(CronGuard(self._name, client=self._client, **self._options))

    def _claim(self, guard: CronGuard) -> None:
        with guard.claim() as run:
            if run:
                self._job(run)
        print("outcome", run.slot, run.outcome.value, flush=True)  # noqa: T201 - for the test

    def _job(self, run: CronRun[Lock]) -> None:
        line = f"{run.slot} {run.attempt} {os.getpid()} {time.monotonic()}\n"
        with self._ledger.open("a") as file:
            file.write(line)  # one write, so that lines of others are not mixed with it
        end = time.monotonic() + self._work
        eventually(lambda: time.monotonic() >= end, PATIENCE + self._work)


def main(address: str, name: str, ledger: str, settings: str) -> None:
    """Work to the end."""
    # On a busy machine many requests in a row may fail where half of the answers are lost.
    with Client(address, retry_for=60.0) as client:
        worker = Worker(client, name, Path(ledger), json.loads(settings))
        print("ready", flush=True)  # noqa: T201 - for the test
        worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
