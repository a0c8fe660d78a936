"""How many times a second a lock that nobody else wants can be acquired and released.

python benchmarks/uncontended.py [--rounds N] [--seconds S] [--asyncio] [--json FILE]
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import rounds
from bare import Uncontended
from library import TaskLock, ThreadLock
from naive import NaiveLock
from real import real_agent

from tests.support.agent import Agent

LOCK, LOCK_ASYNCIO, NAIVE, BARE = (
    "consul_lock.Lock",
    "consul_lock.Lock, asyncio",
    "python-consul2",
    "bare socket",
)
AIMS = {NAIVE: 4.0, BARE: 0.5}


def per_second(lock: Any, seconds: float) -> float:
    acquire, release = lock.acquire, lock.release
    pairs, start = 0, time.perf_counter()
    end = start + seconds
    while time.perf_counter() < end:
        acquire()
        release()
        pairs += 1
    return pairs / (time.perf_counter() - start)


async def per_second_asyncio(lock: TaskLock, seconds: float) -> float:
    pairs, start = 0, time.perf_counter()
    end = start + seconds
    while time.perf_counter() < end:
        await lock.acquire()
        await lock.release()
        pairs += 1
    return pairs / (time.perf_counter() - start)


def contenders(agent: Agent, given: Any, stack: ExitStack) -> dict[str, Callable[[], float]]:
    def of_threads(lock: Any) -> Callable[[], float]:
        stack.enter_context(closing(lock))
        return lambda: per_second(lock, given.seconds)

    found = {LOCK: of_threads(ThreadLock(agent.address, "bench/lock"))}
    if given.asyncio:
        runner = stack.enter_context(asyncio.Runner())

        async def make() -> TaskLock:
            return TaskLock(agent.address, "bench/asyncio")

        lock = runner.run(make())
        stack.callback(lambda: runner.run(lock.close()))
        found[LOCK_ASYNCIO] = lambda: runner.run(per_second_asyncio(lock, given.seconds))
    naive = NaiveLock(agent.http_port, "bench/naive")
    naive.acquire = naive.try_acquire  # type: ignore[assignment, method-assign] # nobody waits
    found[NAIVE] = of_threads(naive)
    found[BARE] = of_threads(Uncontended(agent.http_port, "bench/bare"))
    return found


def main() -> None:
    parser = rounds.options("Acquire and release a lock that nobody else wants.")
    parser.add_argument("--seconds", type=float, default=0.5, help="a turn (default: %(default)s)")
    given = parser.parse_args()
    with real_agent() as agent, ExitStack() as stack:
        figures = rounds.interleave(contenders(agent, given, stack), given.rounds)
    print(f"acquire and release, pairs a second, medians of {given.rounds} rounds")
    rounds.print_table(
        ("", "median", "min", "max", "of bare", "of naive"),
        [
            (
                name,
                *(f"{figure(values):.0f}" for figure in (statistics.median, min, max)),
                *(f"{rounds.ratio(figures, name, other):.2f}" for other in (BARE, NAIVE)),
            )
            for name, values in figures.items()
        ],
    )
    ratios = {
        f"{name} / {other}": (rounds.ratio(figures, name, other), f"at least {aim:g}")
        for name in (LOCK, LOCK_ASYNCIO)
        if name in figures
        for other, aim in AIMS.items()
    }
    rounds.print_ratios(ratios)
    rounds.write(
        given.json,
        {
            "benchmark": "uncontended",
            "unit": "pairs a second",
            "figures": figures,
            "ratios": {what: value for what, (value, _) in ratios.items()},
        },
    )


if __name__ == "__main__":
    main()
