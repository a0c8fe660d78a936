"""Clients of their own, as if each were a process on another machine, want one lock."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from typing import Any, NamedTuple

from tests.scale.counter import Requests
from tests.scale.queue import hold_once, queue_length
from tests.support.agent import Agent
from tests.support.callers import Callers, Tasks, close_all, reached
from tests.support.event_log import EventLog
from tests.support.overlap_check import Hold, one_at_a_time
from tests.support.waiting import eventually

log = logging.getLogger(__name__)

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 120.0

# Seconds after which the leader of a cluster looks whether all is well, and writes a barrier into
# Raft's log before; an agent that serves for longer has done so.
RECONCILES = 60.0

# Long, so that few renewals fall between the hand-overs.
_TERMS = {"ttl": 60.0, "lock_delay": 60.0}


class Queue(NamedTuple):
    """What was seen of one queue being served."""

    arrived: list[str]
    holds: list[Hold]
    requests: int
    """From the first release to the last, without renewals and the questions of the test."""
    seconds: float


def _serve(callers: Callers, agent: Agent, requests: Requests, name: str, count: int) -> Queue:
    """Let ``count`` clients queue behind a holder, then let it release."""
    events, before = EventLog(), set(threading.enumerate())
    clients = [callers.client(agent.address) for _ in range(count + 1)]
    gate, *locks = [
        callers.lock(name, client, meta={"number": str(n)}, **_TERMS)
        for n, client in enumerate(clients)
    ]
    assert callers.start(reached(gate.acquire())).result(PATIENCE)
    futures: list[Future[Any]] = [
        callers.start(hold_once(lock, str(n), events)) for n, lock in enumerate(locks, 1)
    ]
    eventually(lambda: queue_length(agent, name) == count, PATIENCE, message="all wait")
    arrived = callers.start(_numbers(gate)).result(PATIENCE)
    # The gate's client holds, and has a watchdog.
    keepers = ["consul-lock-keeper"] * (count + 1)
    assert sorted(callers.helpers()) == [*keepers, "consul-lock-watchdog"]
    own = 0 if isinstance(callers, Tasks) else 2 * count + 2
    assert len(set(threading.enumerate()) - before) == own

    requests.clear()
    start = time.monotonic()
    callers.start(reached(gate.release())).result(PATIENCE)
    for future in futures:
        future.result(PATIENCE)
    seconds, sent = time.monotonic() - start, requests.of_locking() - count
    queue = Queue(arrived, one_at_a_time(events.events()), sent, seconds)
    log.info(
        "%s, %d clients: %.2f requests and %.2f ms a hand-over; %s",
        callers.name, count, queue.requests / count, 1000 * queue.seconds / count,
        dict(requests.kinds),
    )  # fmt: skip
    close_all(callers, clients)
    return queue


async def _numbers(lock: Any) -> list[str]:
    return [waiter.meta["number"] for waiter in await reached(lock.waiters())]


def test_100_clients_are_served_in_order_of_arrival(
    quiet: Agent, callers: Callers, requests: Requests, fresh_name: str
) -> None:
    """Alone, each once, and with one Raft write a hand-over: each token is the one before + 1, but
    for what the agent itself writes."""
    queue = _serve(callers, quiet, requests, fresh_name, 100)
    assert [hold.who for hold in queue.holds] == queue.arrived
    # The gate's: it was alone when it acquired, and knew of no line.
    assert len(requests.refused) <= 1
    first, last = queue.holds[0].token, queue.holds[-1].token
    # A new agent writes a few things of its own; a second write for each would be 99 more.
    assert last - first - 99 <= 5 + queue.seconds / RECONCILES
    assert requests.failures == []
    assert quiet.sessions() == []
    assert quiet.keys(fresh_name) == []


def test_a_hand_over_costs_as_much_with_100_waiting_as_with_10(
    quiet: Agent, callers: Callers, requests: Requests, fresh_name: str
) -> None:
    """A constant number of requests each, however many wait."""
    costs = []
    for count in (10, 50, 100):
        queue = _serve(callers, quiet, requests, f"{fresh_name}/{count}", count)
        assert len(queue.holds) == len({hold.who for hold in queue.holds}) == count
        costs.append(queue.requests / count)
    assert max(costs) / min(costs) < 1.5
    assert max(costs) < 8
