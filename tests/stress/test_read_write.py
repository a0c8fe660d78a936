"""Fifty readers and five writers of one lock."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import ModuleType
from typing import Any

import pytest

import consul_lock
from consul_lock import aio
from tests.stress.readers_and_writers import ReadersAndWriters
from tests.support.agent import Agent
from tests.support.callers import Callers, close_all, reached
from tests.support.waiting import eventually, eventually_async

log = logging.getLogger(__name__)

pytestmark = pytest.mark.slow

READERS, WRITERS = 50, 5

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 120.0

# Long, so that nothing is lost on a machine that is busy.
_TERMS = {"ttl": 60.0, "lock_delay": 60.0}


class Door:
    """One read/write lock, and the book of who is inside."""

    def __init__(self, callers: Callers, agent: Agent, name: str) -> None:
        self.callers = callers
        self.visitors = ReadersAndWriters()
        self.clients: list[Any] = []
        self._agent = agent
        self._name = name
        self._api: ModuleType = {"threads": consul_lock, "asyncio": aio}[callers.name]

    def client(self) -> Any:
        """The lock, through a client of its own."""
        self.clients.append(self.callers.client(self._agent.address))
        return self._api.ReadWriteLock(self._name, client=self.clients[-1], **_TERMS)

    def queued(self) -> int:
        """How many wait or hold, by Consul's word."""
        return len(self._agent.keys(f"{self._name}/.lock/"))

    async def enter(self, lock: Any, who: str, mode: str) -> None:
        """Wait to be let in."""
        line = self._agent.request("GET", f"/v1/kv/{self._name}/?keys&consistent")
        assert await reached(lock.acquire(timeout=PATIENCE))
        entry = self._agent.entry(f"{self._name}/.lock/{lock.session_id}")
        assert entry is not None
        asked = int(line.headers["x-consul-index"])
        self.visitors.begin(who, mode, lock.token, entry["CreateIndex"], asked)

    async def become_reader(self, lock: Any, who: str) -> None:
        """Go on as a reader, without letting go in between."""
        self.visitors.downgrade(who)
        await reached(lock.downgrade())

    async def leave(self, lock: Any, who: str) -> None:
        """Let go, after time for others to come in wrongly."""
        assert await reached(lock.locked())
        assert lock.held
        self.visitors.end(who)
        await reached(lock.release())

    async def until(self, condition: Callable[[], Any], message: str) -> None:
        """Wait as a caller of this face does."""
        if self.callers.name == "asyncio":
            await eventually_async(condition, PATIENCE, message=message)
        else:
            eventually(condition, PATIENCE, message=message)

    def close(self) -> None:
        """Nobody is inside any more, and nothing is left in Consul."""
        close_all(self.callers, self.clients)
        assert self.visitors.inside() == set()
        assert self._agent.keys(self._name) == []
        assert self._agent.sessions() == []

    def judge(self) -> None:
        """The checks of every lock of this kind."""
        assert self.visitors.forbidden == []
        assert self.visitors.overtaken() == []
        assert self.visitors.wrong_tokens() == []


async def _once(door: Door, lock: Any, who: str, mode: str, group: set[str]) -> None:
    """Go in, wait there until all of the group are inside, go out."""
    await door.enter(lock, who, mode)
    await door.until(lambda: door.visitors.met(group), f"{sorted(group)} are inside together")
    await door.leave(lock, who)


def _groups() -> list[set[str]]:
    """Writers alone, and between them the readers who came one after the other."""
    order = [f"reader-{n}" for n in range(READERS)]
    for n, place in enumerate(sorted(random.sample(range(READERS + 1), WRITERS), reverse=True)):
        order.insert(place, f"writer-{n}")
    groups: list[set[str]] = []
    for who in order:
        if groups and who.startswith("reader") and "reader" in next(iter(groups[-1])):
            groups[-1].add(who)
        else:
            groups.append({who})
    return groups


def test_fifty_readers_and_five_writers_are_served_in_order_of_arrival(
    own_agent: Agent, callers: Callers, fresh_name: str
) -> None:
    """Each from a client of its own.  Readers who came between two writers are inside together,
    no reader comes in before a writer that came before it, and no writer waits for one."""
    door = Door(callers, own_agent, fresh_name)
    gate = door.client().write()
    callers.start(door.enter(gate, "gate", "write")).result(PATIENCE)
    groups = _groups()
    futures: list[Future[Any]] = []
    for group in groups:
        for who in group:
            rw = door.client()
            mode = "write" if who.startswith("writer") else "read"
            lock = rw.write() if mode == "write" else rw.read()
            futures.append(callers.start(_once(door, lock, who, mode, group)))
            eventually(lambda: door.queued() == len(futures) + 1, message=f"{who} is queued")
    assert len(futures) == READERS + WRITERS
    assert door.visitors.inside() == {"gate"}
    callers.start(door.leave(gate, "gate")).result(PATIENCE)
    for future in futures:
        future.result(PATIENCE)
    door.judge()
    served = [visit.who for visit in door.visitors.visits[1:]]
    for group in groups:
        assert set(served[: len(group)]) == group
        del served[: len(group)]
    assert served == []
    door.close()


def test_threads_of_a_few_clients_read_and_write_and_no_writer_starves(
    own_agent: Agent, callers: Callers, fresh_name: str
) -> None:
    """Ten readers and a writer share each client's lock.  At first all readers are inside
    together; then they come again and again, and do not stop before every writer has been inside
    five times."""
    door = Door(callers, own_agent, fresh_name)
    written = dict.fromkeys(range(WRITERS), 0)
    readers = {f"reader-{n}" for n in range(READERS)}

    async def write(lock: Any, n: int) -> int:
        await door.until(lambda: door.visitors.met(readers), "all readers are inside together")
        while written[n] < 5:
            await door.enter(lock, f"writer-{n}", "write")
            written[n] += 1
            await door.leave(lock, f"writer-{n}")
        return written[n]

    async def read(lock: Any, who: str) -> int:
        await _once(door, lock, who, "read", readers)
        count = 1
        while min(written.values()) < 5:
            await door.enter(lock, who, "read")
            await door.leave(lock, who)
            count += 1
        return count

    locks = [door.client() for _ in range(WRITERS)]
    bodies = [read(locks[n % WRITERS].read(), f"reader-{n}") for n in range(READERS)]
    bodies += [write(lock.write(), n) for n, lock in enumerate(locks)]
    futures = [callers.start(body) for body in bodies]
    counts = [future.result(PATIENCE) for future in futures]
    log.info("%s: %d reads until %d writes were done", callers.name, sum(counts[:READERS]), 25)
    door.judge()
    door.close()


def test_a_writer_that_becomes_a_reader_lets_in_those_behind_it_up_to_the_next_writer(
    own_agent: Agent, callers: Callers, fresh_name: str
) -> None:
    """It stays inside itself meanwhile, and nobody overtakes the writer that waits."""
    door = Door(callers, own_agent, fresh_name)
    first = door.client().write()
    callers.start(door.enter(first, "first", "write")).result(PATIENCE)
    order = ["reader-1", "reader-2", "reader-3", "writer", "reader-4"]
    readers, gone = {"first", *order[:3]}, threading.Event()
    futures: list[Future[Any]] = []

    async def visit(lock: Any, who: str) -> None:
        await door.enter(lock, who, "write" if who == "writer" else "read")
        if who in readers:
            await door.until(gone.is_set, "the first has gone")
        await door.leave(lock, who)

    for who in order:
        rw = door.client()
        futures.append(callers.start(visit(rw.write() if who == "writer" else rw.read(), who)))
        eventually(lambda: door.queued() == len(futures) + 1, message=f"{who} is queued")
    token = first.token
    callers.start(door.become_reader(first, "first")).result(PATIENCE)
    eventually(lambda: door.visitors.inside() == readers, PATIENCE, message="readers are inside")
    assert (first.held, first.token) == (True, token)
    assert not any(future.done() for future in futures)
    callers.start(door.leave(first, "first")).result(PATIENCE)
    assert door.visitors.inside() == readers - {"first"}
    gone.set()
    for future in futures:
        future.result(PATIENCE)
    door.judge()
    assert [visit.who for visit in door.visitors.visits[-2:]] == order[-2:]
    door.close()
