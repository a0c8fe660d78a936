"""Ten contenders take many of sixty locks at once, for a quarter of a minute."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from random import Random
from types import ModuleType
from typing import Any

import pytest

import consul_lock
from consul_lock import aio
from tests.stress.key_reader import KeyReader
from tests.support.agent import Agent
from tests.support.callers import Callers, Tasks, Threads, close_all, reached
from tests.support.effort import scaled
from tests.support.waiting import eventually, eventually_async

log = logging.getLogger(__name__)

SECONDS = scaled(15)

_random = Random()

NAMES = [f"item-{n:02}" for n in range(60)]

CONTENDERS = 10

TURNS = 5
"""That everybody must get before anybody stops."""

# Seconds.  There is no line for a set of locks, so one that wants many needs a moment in which
# nobody has any of them.
_RESTS = 0.0, 0.1

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 120.0

# Long, so that nothing is lost on a machine that is busy.
_TERMS = {"ttl": 60.0, "lock_delay": 60.0}


def _sets(who: int) -> list[set[str]]:
    """What a contender takes, in turns: none is a part of another, so half of one is none."""
    if who == 0:
        return [set(NAMES)]  # everything, which is as hard as it gets
    while True:
        found = [set(_random.sample(NAMES, _random.randint(2, 15))) for _ in range(4)]
        if not any(a <= b or b <= a for a, b in itertools.combinations(found, 2)):
            return found


class Table:
    """Who has which name now, by the word of those who have it."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._owners: dict[str, str] = {}
        self._tokens: dict[str, int] = {}
        self.wrong: list[str] = []
        self.turns: dict[str, int] = {}

    def take(self, who: str, names: set[str], token: int) -> None:
        """All of them are held from here on."""
        with self._mutex:
            self.turns[who] = self.turns.get(who, 0) + 1
            for name in names:
                if name in self._owners:
                    self.wrong.append(f"{who} took {name}, which {self._owners[name]} had")
                if token <= self._tokens.get(name, 0):
                    self.wrong.append(f"{who} has token {token} of {name}, older than the last")
                self._owners[name], self._tokens[name] = who, token

    def fewest(self, contenders: int) -> int:
        """How often the contender that was served least has been served."""
        with self._mutex:
            return min(self.turns.values()) if len(self.turns) == contenders else 0

    def give(self, names: set[str]) -> None:
        """All of them were held up to here."""
        with self._mutex:
            for name in names:
                del self._owners[name]


class Contender:
    """Takes one of its sets after the other, with a rest between them."""

    def __init__(self, who: str, callers: Callers, table: Table) -> None:
        self._who = who
        self._callers = callers
        self._table = table

    async def live(self, locks: list[tuple[Any, set[str]]], enough: Callable[[], bool]) -> None:
        """Go on until everybody has had enough, so that nobody gets on only as others stop."""
        while not enough():
            lock, names = _random.choice(locks)
            assert await reached(lock.acquire(timeout=PATIENCE))
            self._table.take(self._who, names, lock.token)
            # Time for others to come in wrongly, and Consul's own word.
            await reached(lock.ensure_held())
            assert (await reached(lock.holder())).session == lock.session_id
            self._table.give(names)
            await reached(lock.release())
            await self._rest(_random.uniform(*_RESTS))

    async def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        if self._callers.name == "asyncio":
            await eventually_async(lambda: time.monotonic() > end)
        else:
            eventually(lambda: time.monotonic() > end)


@pytest.mark.slow
def test_ten_take_their_sets_of_sixty_all_or_nothing_and_nobody_is_stuck(
    own_agent: Agent, fresh_name: str
) -> None:
    """Sets overlap in every order, half of the contenders are tasks, one wants all the sixty,
    and two plain locks are in the way.  Somebody else never sees a part of a set."""
    tasks, table = Tasks(), Table()
    faces: list[tuple[Callers, ModuleType]] = [(Threads(), consul_lock), (tasks, aio)]
    allowed = {str(who): _sets(who) for who in range(CONTENDERS)}
    allowed |= {"plain-0": [{NAMES[0]}], "plain-1": [{NAMES[59]}]}
    clients, futures = [], list[Future[Any]]()
    end = time.monotonic() + SECONDS

    def enough() -> bool:
        return time.monotonic() > end and table.fewest(len(allowed)) >= TURNS

    with KeyReader(own_agent, fresh_name, allowed) as reader:
        for number, (who, sets) in enumerate(allowed.items()):
            callers, api = faces[number % 2]
            clients.append((callers, callers.client(own_agent.address)))
            about = {"client": clients[-1][1], "meta": {"contender": who}, **_TERMS}
            locks = [(_lock(api, fresh_name, names, about), names) for names in sets]
            futures.append(callers.start(Contender(who, callers, table).live(locks, enough)))
        for future in futures:
            future.result(SECONDS + PATIENCE)
    for callers, client in clients:
        close_all(callers, [client])
    tasks.close()
    log.info(
        "%.1f s: turns %s; %d looks, %d times a whole set",
        time.monotonic() - end + SECONDS, table.turns, reader.looks, reader.whole,
    )  # fmt: skip
    assert reader.error is None
    assert reader.torn[:3] == []
    assert table.wrong[:3] == []
    assert reader.whole > 10 * CONTENDERS
    eventually(lambda: own_agent.sessions() == [], message="no session is left")
    assert own_agent.keys(fresh_name) == []


def _lock(api: ModuleType, folder: str, names: set[str], about: dict[str, Any]) -> Any:
    """A plain lock of one name, or a lock of many, in no particular order."""
    if len(names) == 1:
        return api.Lock(f"{folder}/{next(iter(names))}", **about)
    places = [f"{folder}/{name}" for name in names]
    return api.MultiLock(_random.sample(places, len(places)), **about)


def test_the_onlooker_sees_a_part_of_a_set() -> None:
    """Made up by hand: a set, half of one, and an entry in a queue."""

    def entry(key: str, session: str) -> dict[str, Any]:
        value = base64.b64encode(json.dumps({"meta": {"contender": "1"}}).encode()).decode()
        return {"Key": f"shop/{key}", "Session": session, "Value": value}

    reader = KeyReader(None, "shop", {"1": [{"a", "b"}, {"c"}]})  # type: ignore[arg-type] # not asked
    reader.judge([entry("a/.lock", "s"), entry("b/.lock", "s"), entry("c/.queue/s", "s")])
    assert (reader.whole, reader.torn) == (1, [])
    reader.judge([entry("a/.lock", "s"), entry("c/.lock", "t")])
    assert (reader.whole, reader.torn) == (2, ["contender 1 held ['a']"])
