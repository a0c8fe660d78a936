"""Twenty processes, three slots, and for half a minute somebody who kills, freezes and destroys."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from consul_lock import Client, Semaphore
from tests.stress.document_reader import DocumentReader
from tests.stress.semaphore_workers import SemaphoreWorkers
from tests.stress.worker import LOCK_DELAY, TTL
from tests.support.agent import Agent
from tests.support.effort import scaled
from tests.support.overlap_check import History
from tests.support.waiting import eventually

log = logging.getLogger(__name__)

pytestmark = pytest.mark.slow

SECONDS = scaled(30)

LIMIT, PROCESSES = 3, 20

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 120.0

# What is done to whom, in random order, again and again.  A holder that is hit blocks its slot
# for some seconds, so they are hit less often than those who wait.
_DEEDS = (
    [(SemaphoreWorkers.kill, True)] * 2
    + [(SemaphoreWorkers.destroy, True), (SemaphoreWorkers.freeze, True)] * 3
    + [(SemaphoreWorkers.kill, False), (SemaphoreWorkers.destroy, False)] * 4
)


def _deeds() -> Iterator[tuple[Callable[..., bool], bool]]:
    """Until the time is over, and until each thing was done at least twice."""
    end = time.monotonic() + SECONDS
    yield from random.sample(_DEEDS, len(_DEEDS))
    while time.monotonic() < end:
        yield random.choice(_DEEDS)


def _disturb(workers: SemaphoreWorkers) -> None:
    for deed, holder in _deeds():
        _look_on(workers, random.uniform(0.2, 1.2))
        done = partial(deed, workers, holder=holder)
        eventually(done, PATIENCE, message=f"{deed.__name__}, holder={holder}")


def _look_on(workers: SemaphoreWorkers, seconds: float) -> None:
    end = time.monotonic() + seconds

    def over() -> bool:
        workers.look()
        return time.monotonic() > end

    eventually(over)


def _last_of_all(agent: Agent, name: str) -> None:
    """Take all slots at once, which needs every dead one to be cleared away, and let go."""
    with Client(agent.address) as client:
        semaphore = Semaphore(name, LIMIT, client=client, ttl=TTL, lock_delay=LOCK_DELAY)
        assert semaphore.acquire(timeout=PATIENCE, n=LIMIT)
        assert len(semaphore.holders()) == LIMIT
        semaphore.release()


def _judge(history: History, reader: DocumentReader) -> None:
    assert history.nonsense == []
    assert history.overlaps(LIMIT) == []
    assert history.wrong_tokens(LIMIT) == []
    assert reader.too_many(LIMIT) == []
    assert reader.limits == {LIMIT}
    assert reader.wrong_grants(history.holds) == []


def test_never_more_than_three_of_twenty_hold_while_processes_are_killed(
    own_agent: Agent, fresh_name: str, tmp_path: Path
) -> None:
    """Judged by what the processes wrote, not by what Consul or the library says."""
    with DocumentReader(own_agent, fresh_name) as reader:
        with SemaphoreWorkers(own_agent, fresh_name, LIMIT, PROCESSES, tmp_path) as workers:
            _disturb(workers)
            history = workers.finish()
        _last_of_all(own_agent, fresh_name)
    grants, seen = len(history.holds), reader.seen(history.holds)
    log.info(
        "%g s: %d grants, at most %d slots at once; %s; %.0f %% of the grants seen by another",
        SECONDS, grants, history.most(), dict(history.counts), 100 * seen,
    )  # fmt: skip
    _judge(history, reader)
    # Enough has happened for this to mean something.
    assert history.most() == LIMIT
    assert grants > 2 * PROCESSES
    assert history.counts["holders killed"] > 1
    assert history.counts["holders destroyed"] > 1
    assert history.counts["holders frozen"] > 1
    assert history.counts["lost"] > 0
    assert seen > 0.5
    eventually(lambda: own_agent.sessions() == [], PATIENCE, message="no session is left")
    assert own_agent.keys(fresh_name) == []
