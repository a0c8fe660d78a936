"""Connections are kept, survive their end, and are few."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from consul_lock import Client, Lock, aio
from consul_lock.testing import ServedWorld
from tests.drivers.acquire_once import Attempt, each_face
from tests.support.actions import PASS, Action
from tests.support.proxy import Proxy
from tests.support.waiting import eventually, eventually_async

BUDGET = 64
"""Long polls of one client at a time, as the docs promise."""


@each_face
def test_one_connection_serves_a_hundred_rounds(attempt: Attempt, proxy: Proxy) -> None:
    """Acquire and release, one after another: the connection is kept alive."""
    attempt(proxy.address, rounds=100)
    assert proxy.count(kind="txn") == 200
    assert proxy.accepted == 1


def _unused_for_a_while() -> Callable[[], bool]:
    """A condition for a connection to be idle, not in the middle of a round."""
    end = time.monotonic() + 0.1
    return lambda: time.monotonic() > end


def test_an_agent_that_restarts_is_survived_by_threads(proxy: Proxy) -> None:
    """It has closed the idle connections; that is seen before they are used."""
    with Client(proxy.address, retry_for=0) as client:
        lock = Lock("drivers/restart", client=client)
        for _ in range(3):
            assert lock.acquire(timeout=0)
            proxy.cut()
            eventually(_unused_for_a_while())
            lock.release()
            proxy.cut()
            eventually(_unused_for_a_while())
    assert proxy.accepted >= 6


def test_an_agent_that_restarts_is_survived_by_tasks(proxy: Proxy) -> None:
    """The same, on a loop."""

    async def restart() -> None:
        async with aio.Client(proxy.address, retry_for=0) as client:
            lock = aio.Lock("drivers/restart", client=client)
            for _ in range(3):
                assert await lock.acquire(timeout=0)
                proxy.cut()
                await eventually_async(_unused_for_a_while())
                await lock.release()
                proxy.cut()
                await eventually_async(_unused_for_a_while())

    asyncio.run(restart())
    assert proxy.accepted >= 6


class Polls:
    """Counts the long polls that are under way at a proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.most = 0
        proxy.rule = self._rule

    @property
    def now(self) -> int:
        log = list(self._proxy.log)
        return sum(seen.kind == "kv?wait" and seen.status is None for seen in log)

    def _rule(self, method: str, path: str, body: bytes, n: int) -> Action:
        self.most = max(self.most, self.now)
        return PASS


def test_eighty_waiting_threads_open_no_more_than_64_polls(
    served: ServedWorld, proxy: Proxy
) -> None:
    """Those beyond the budget read now and then, and all get their locks."""
    polls = Polls(proxy)
    with (
        ThreadPoolExecutor(80) as pool,
        Client(served.address) as holder,
        Client(proxy.address) as client,
    ):
        held = _held(holder, 80)
        locks = [Lock(lock.name, client=client, ttl=60, lock_delay=60) for lock in held]
        waiting = [pool.submit(lock.acquire) for lock in locks]
        eventually(lambda: polls.now == BUDGET)
        eventually(lambda: all(lock.waiters() for lock in held))
        for lock in held:
            lock.release()
        assert all(future.result(120) for future in waiting)
        assert polls.most == BUDGET
        for lock in locks:
            lock.release()


def test_eighty_waiting_tasks_open_no_more_than_64_polls(served: ServedWorld, proxy: Proxy) -> None:
    """The same, on a loop."""
    polls = Polls(proxy)

    async def wait() -> None:
        async with aio.Client(served.address) as holder, aio.Client(proxy.address) as client:
            held = [aio.Lock(f"drivers/many/{n}", client=holder) for n in range(80)]
            for lock in held:
                assert await lock.acquire(timeout=0)
            locks = [aio.Lock(lock.name, client=client, ttl=60, lock_delay=60) for lock in held]
            waiting = [asyncio.create_task(lock.acquire()) for lock in locks]
            await eventually_async(lambda: polls.now == BUDGET)
            for lock in held:
                await lock.release()
            assert all(await asyncio.wait_for(asyncio.gather(*waiting), 60))
            for lock in locks:
                await lock.release()

    asyncio.run(wait())
    assert polls.most == BUDGET


@pytest.mark.parametrize("names", [1, 50], ids=["one lock", "fifty locks"])
def test_a_waiting_thread_costs_no_other_thread(served: ServedWorld, names: int) -> None:
    """Fifty threads wait: there are those fifty, one keeper a client, and the holder's watchdog."""
    before = set(threading.enumerate())

    def count(name: str) -> int:
        return sum(t.name.startswith(name) for t in set(threading.enumerate()) - before)

    with (
        ThreadPoolExecutor(50, thread_name_prefix="caller") as pool,
        Client(served.address) as holder,
        Client(served.address) as client,
    ):
        held = _held(holder, names)
        locks = [Lock(held[n % names].name, client=client) for n in range(50)]
        waiting = [pool.submit(_enter, lock) for lock in locks]
        eventually(lambda: all(lock.waiters() for lock in held))
        # One client holds, and its losses are reported in time.
        assert (count("consul-lock-keeper"), count("consul-lock-watchdog")) == (2, 1)
        assert (count("consul-lock"), count("caller")) == (3, 50)
        for lock in held:
            lock.release()
        for future in waiting:
            future.result(120)


def _held(client: Client, count: int) -> list[Lock]:
    locks = [Lock(f"drivers/many/{n}", client=client) for n in range(count)]
    for lock in locks:
        assert lock.acquire(timeout=0)
    return locks


def _enter(lock: Lock) -> None:
    with lock:
        assert lock.held
