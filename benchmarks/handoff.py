"""How long it takes from one holder's release to the next one's acquire.

python benchmarks/handoff.py [--rounds N] [--handovers N] [--waiters N] [--asyncio] [--json FILE]
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Any

import rounds
from bare import Pair
from library import TaskLock, ThreadLock
from naive import NaiveLock
from real import real_agent

from tests.support.agent import Agent

LOCK, NAIVE, BARE = (
    "consul_lock.Lock, 1 waiting",
    "python-consul2, 1 waiting",
    "bare sockets, 1 waiting",
)
LOCK_ASYNCIO = "consul_lock.Lock, asyncio, 1 waiting"
AIM = 2.0
# Seconds that the lock is kept, so that everybody else is queued, and silent, at the release.
HOLD = 0.015


class Ring:
    """Contenders in one process who take the lock by turns; each joins the queue again at once."""

    def __init__(self, locks: Sequence[Any], handovers: int) -> None:
        self._locks = locks
        self._wanted = handovers
        self.rounds: list[list[float]] = []
        """Milliseconds; the first round is the one that warms up."""
        self._round: list[float] = []
        self._released: float | None = None

    def run(self) -> float:
        """One round: the median in milliseconds."""
        self._begin()
        threads = [threading.Thread(target=self._contend, args=(lock,)) for lock in self._locks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._finish()

    def _contend(self, lock: Any) -> None:
        while not self._done():
            lock.acquire()
            self._acquired()
            time.sleep(HOLD)
            self._released = time.perf_counter()
            lock.release()

    async def run_asyncio(self) -> float:
        self._begin()
        await asyncio.gather(*(self._contend_asyncio(lock) for lock in self._locks))
        return self._finish()

    async def _contend_asyncio(self, lock: TaskLock) -> None:
        while not self._done():
            await lock.acquire()
            self._acquired()
            await asyncio.sleep(HOLD)
            self._released = time.perf_counter()
            await lock.release()

    # Only the holder of the lock comes to the following lines.

    def _acquired(self) -> None:
        now = time.perf_counter()
        if self._released is not None and not self._done():
            self._round.append((now - self._released) * 1000)

    def _done(self) -> bool:
        return len(self._round) >= self._wanted

    def _begin(self) -> None:
        self._round, self._released = [], None

    @property
    def times(self) -> list[float]:
        return [figure for figures in self.rounds[1:] for figure in figures]

    def _finish(self) -> float:
        self.rounds.append(self._round)
        return statistics.median(self._round)


def rings(agent: Agent, given: Any, stack: ExitStack) -> dict[str, Ring]:
    def ring(locks: Sequence[Any]) -> Ring:
        for lock in locks:
            stack.enter_context(closing(lock))
        return Ring(locks, given.handovers)

    def of_library(count: int) -> Ring:
        name = f"bench/lock-{count}"
        return ring([ThreadLock(agent.address, name) for _ in range(count)])

    found = {LOCK: of_library(2)}
    if given.waiters > 1:
        found[f"consul_lock.Lock, {given.waiters} waiting"] = of_library(given.waiters + 1)
    found[NAIVE] = ring([NaiveLock(agent.http_port, "bench/naive") for _ in range(2)])
    found[BARE] = ring(Pair(agent.http_port, "bench/bare").members)
    return found


def asyncio_ring(agent: Agent, given: Any, stack: ExitStack) -> tuple[Ring, Callable[[], float]]:
    runner = stack.enter_context(asyncio.Runner())

    async def make() -> list[TaskLock]:
        return [TaskLock(agent.address, "bench/asyncio") for _ in range(2)]

    locks = runner.run(make())
    for lock in locks:
        stack.callback(lambda lock: runner.run(lock.close()), lock)
    ring = Ring(locks, given.handovers)
    return ring, lambda: runner.run(ring.run_asyncio())


def row(name: str, times: Sequence[float], figures: rounds.Figures) -> tuple[str, ...]:
    points = [f"{rounds.percentile(times, percent):.2f}" for percent in (50, 90, 99)]
    of_bare = f"{rounds.ratio(figures, name, BARE):.2f}"
    return (name, str(len(times)), *points, f"{max(times):.2f}", of_bare)


def main() -> None:
    parser = rounds.options("Hand a lock from one holder to the next.")
    parser.add_argument("--handovers", type=int, default=25, help="a turn (default: %(default)s)")
    parser.add_argument(
        "--waiters", type=int, default=4, help="of the longer line (default: %(default)s)"
    )
    given = parser.parse_args()
    with real_agent() as agent, ExitStack() as stack:
        found = rings(agent, given, stack)
        turns = {name: ring.run for name, ring in found.items()}
        if given.asyncio:
            found[LOCK_ASYNCIO], turns[LOCK_ASYNCIO] = asyncio_ring(agent, given, stack)
        figures = rounds.interleave(turns, given.rounds)
    print(f"from release to the next acquire, milliseconds, {given.rounds} rounds")
    rounds.print_table(
        ("", "hand-overs", "p50", "p90", "p99", "max", "p50 of bare"),
        [row(name, ring.times, figures) for name, ring in found.items()],
    )
    library = [name for name in found if name.startswith("consul_lock")]
    ratios = {
        f"{name} / bare": (rounds.ratio(figures, name, BARE), f"at most {AIM:g}")
        for name in library
    }
    ratios["naive / consul_lock"] = (rounds.ratio(figures, NAIVE, LOCK), "the more the better")
    rounds.print_ratios(ratios)
    rounds.write(
        given.json,
        {
            "benchmark": "handoff",
            "unit": "milliseconds",
            "figures": {name: ring.times for name, ring in found.items()},
            "ratios": {what: value for what, (value, _) in ratios.items()},
        },
    )


if __name__ == "__main__":
    main()
