"""A process that acquires and releases, again and again, and counts what it has.

``python -m tests.scale.cycles ADDRESS 1000000`` does so a million times, and says after each
10,000 (``--window``) what there is, as lines of JSON; the second of each 25 windows is traced by
tracemalloc.  Half of a window is done by each API, with all primitives: mostly plain locks, made
anew or used again, alone and in contention; cut off by a timeout, by cancelling and by an
exception; with clients that are made and closed, and threads that come and go.  ``--model``
needs no address: a model of Consul is served by another process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import consul_lock
from consul_lock import aio
from tests.contract.lock_kinds import KINDS
from tests.contract.operator import Operator

NAME = "scale/cycles"

WINDOW = 10_000

KIND_NAMES = ["lock", "lock", "lock", "lock", "rlock", "semaphore", "write-lock", "multi"]
"""What is made anew, in turn; between two of them a plain lock is used again."""

PATIENT = {"connect_timeout": 60.0, "request_timeout": 60.0}
"""Of the clients; a machine that does other things for a minute is of no interest here."""

LONG = {"ttl": 60.0, "lock_delay": 60.0}
"""Of the locks: the same."""

_MAKE = {kind.name: kind.make for kind in KINDS}

CONTEND = 25
"""Each of so many cycles wants what another client holds, and gives up."""

HAND_OVER = 100
"""Each of so many waits in the queue, and is handed the lock."""

CUT_OFF = 50
"""Each of so many is cut off in its block by an exception; in a task, by cancelling."""

NEW_CLIENT = 500
"""After so many cycles, a client is made, used and closed."""


class CutOffError(Exception):
    """What ends a block."""


_kept: list[object] = []
"""What a leak would be: see ``--leak``."""


def _lock(api: Any, client: Any, number: int, again: Any) -> Any:
    if number % 2:
        return again
    kind = KIND_NAMES[number // 2 % len(KIND_NAMES)]
    return _MAKE[kind](api, f"{NAME}/{kind}", client, LONG)


class OnThreads:
    """Cycles of `consul_lock`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client, self.other = (consul_lock.Client(address, **PATIENT) for _ in range(2))
        self.again = consul_lock.Lock(f"{NAME}/threads", client=self.client, **LONG)
        self.theirs = consul_lock.Lock(f"{NAME}/threads", client=self.other, **LONG)

    def run(self, first: int, count: int) -> None:
        """So many of them, from this number on."""
        for number in range(first, first + count):
            self.cycle(number)

    def cycle(self, number: int) -> None:
        """One."""
        if number % CONTEND == 1:
            with self.theirs:
                assert not self.again.acquire(blocking=False)
        if number % HAND_OVER == 2:
            self.hand_over()
        if number % NEW_CLIENT == 4:
            with (
                consul_lock.Client(self.address, **PATIENT) as brief,
                consul_lock.Lock(f"{NAME}/brief", client=brief),
            ):
                pass
        try:
            with _lock(consul_lock, self.client, number, self.again):
                if number % CUT_OFF == 3:
                    raise CutOffError
        except CutOffError:
            pass  # as above

    def hand_over(self) -> None:
        """A thread waits for it, gets it and ends."""
        with self.theirs:
            waiter = threading.Thread(target=self._wait)
            waiter.start()
            while not self.theirs.waiters():
                pass
        waiter.join()

    def _wait(self) -> None:
        with self.again:
            pass

    def close(self) -> None:
        """The end."""
        self.client.close()
        self.other.close()


class OnLoop:
    """Cycles of `consul_lock.aio`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._begin())

    async def _begin(self) -> None:
        self.client, self.other = (aio.Client(self.address, **PATIENT) for _ in range(2))
        self.again = aio.Lock(f"{NAME}/tasks", client=self.client, **LONG)
        self.theirs = aio.Lock(f"{NAME}/tasks", client=self.other, **LONG)

    def run(self, first: int, count: int) -> None:
        """So many of them, from this number on."""
        self.loop.run_until_complete(self._run(first, count))

    async def _run(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            await self.cycle(number)

    async def cycle(self, number: int) -> None:
        """One."""
        if number % CONTEND == 1:
            async with self.theirs:
                assert not await self.again.acquire(blocking=False)
        if number % HAND_OVER == 2:
            await self.hand_over()
        if number % NEW_CLIENT == 4:
            async with (
                aio.Client(self.address, **PATIENT) as brief,
                aio.Lock(f"{NAME}/brief", client=brief),
            ):
                pass
        if number % CUT_OFF == 3:
            task = asyncio.create_task(self._hold(number))
            await asyncio.wait({task}, timeout=0.0005 * (number // CUT_OFF % 8))
            task.cancel()
            await asyncio.wait({task})
            return
        async with _lock(aio, self.client, number, self.again):
            pass

    async def _hold(self, number: int) -> None:
        async with _lock(aio, self.client, number - 1, self.again):
            await asyncio.Event().wait()

    async def hand_over(self) -> None:
        """A task waits for it, gets it and ends."""
        async with self.theirs:
            waiter = asyncio.create_task(self._wait())
            while not await self.theirs.waiters():
                pass
        await waiter

    async def _wait(self) -> None:
        async with self.again:
            pass

    def close(self) -> None:
        """The end."""
        self.loop.run_until_complete(self._close())
        self.loop.close()

    async def _close(self) -> None:
        await self.client.close()
        await self.other.close()


def _descriptors(kind: str) -> int:
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found += str(descriptor.readlink()).startswith(kind)
        except FileNotFoundError:
            continue  # that of the list itself
    return found


def rss() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sample(operator: Operator, tasks: OnLoop) -> dict[str, int]:
    """What there is, at rest."""
    gc.collect()
    return {
        "blocks": sys.getallocatedblocks(),
        "rss": rss(),
        "sockets": _descriptors("socket:"),
        "descriptors": _descriptors(""),
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks(tasks.loop)),
        "sessions": len(operator.ask("GET", "/v1/session/list")),
        "keys": len(operator.keys(NAME)),
    }


def at_rest(operator: Operator, tasks: OnLoop) -> dict[str, int]:
    """Once what was cut off is cleaned up, and what is idle closed: a few times, to see."""
    best = dict[str, int]()
    for _ in range(4):
        nothing = tasks.loop.create_future()
        tasks.loop.run_until_complete(asyncio.wait({nothing}, timeout=0.05))
        seen = sample(operator, tasks)
        best = {what: min(best.get(what, number), number) for what, number in seen.items()}
    return best


class Traced:
    """What was allocated by the library in a window and is still there at its end."""

    def __enter__(self) -> Traced:
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        gc.collect()
        found = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.Filter(inclusive=True, filename_pattern="*/consul_lock/*")]
        )
        self.bytes = sum(statistic.size for statistic in found.statistics("filename"))
        tracemalloc.stop()


def windows(
    address: str, count: int, window: int, trace_each: int, leak: bool
) -> Iterator[dict[str, Any]]:
    """Play so many cycles; what there is after each window."""
    operator = Operator(address)
    threads, tasks = OnThreads(address), OnLoop(address)
    try:
        for place in range(count // window):
            begun, cpu = time.monotonic(), time.process_time()
            if trace_each and place % trace_each == 1 % trace_each:
                with Traced() as traced:
                    play(threads, tasks, place * window, window, leak=leak)
                extra = {"traced": traced.bytes}
            else:
                play(threads, tasks, place * window, window, leak=leak)
                extra = {}
            yield {
                "cycles": (place + 1) * window,
                "seconds": round(time.monotonic() - begun, 1),
                "cpu": round(time.process_time() - cpu, 1),
                "has": at_rest(operator, tasks),
                **extra,
            }
    finally:
        threads.close()
        tasks.close()
    left = {"sessions": operator.ask("GET", "/v1/session/list"), "keys": operator.keys(NAME)}
    yield {"left": {what: len(found) for what, found in left.items()}}


def play(threads: OnThreads, tasks: OnLoop, first: int, window: int, *, leak: bool) -> None:
    """One window, half of it by each API."""
    threads.run(first // 2, window // 2)
    tasks.run(first // 2, window // 2)
    if leak:
        _kept.extend(object() for _ in range(20 * window))


_SERVE = """
import sys
from consul_lock.testing import serve
with serve() as served:
    print(served.address, flush=True)
    sys.stdin.read()
"""


@contextmanager
def model() -> Iterator[str]:
    """The address of a model that another process serves."""
    command = [sys.executable, "-c", _SERVE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def main() -> None:
    """Print each window as it ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address", nargs="?")
    parser.add_argument("count", type=int)
    parser.add_argument("--window", type=int, default=WINDOW)
    parser.add_argument("--trace-each", type=int, default=25)
    parser.add_argument(
        "--leak", action="store_true", help="keep so much of each cycle as a hold has"
    )
    parser.add_argument("--model", action="store_true")
    options = parser.parse_args()
    with model() if options.model else _given(options.address) as address:
        for each in windows(
            address, options.count, options.window, options.trace_each, options.leak
        ):
            sys.stdout.write(f"{json.dumps(each)}\n")
            sys.stdout.flush()


@contextmanager
def _given(address: str) -> Iterator[str]:
    yield address


if __name__ == "__main__":
    main()
