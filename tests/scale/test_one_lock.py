"""Hundreds of callers of two clients want one lock."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from typing import Any

from tests.scale.counter import Requests
from tests.scale.queue import hold_once
from tests.support.agent import Agent
from tests.support.callers import Tasks, Threads, close_all
from tests.support.event_log import EventLog
from tests.support.overlap_check import one_at_a_time
from tests.support.waiting import eventually

log = logging.getLogger(__name__)

THREADS, TASKS = 200, 500

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 300.0


def test_200_threads_and_500_tasks_get_one_lock_one_after_the_other(
    quiet: Agent, threads: Threads, tasks: Tasks, requests: Requests, fresh_name: str
) -> None:
    """Each once, never two at a time, tokens growing; waiting needs one helper a client."""
    before = set(threading.enumerate())
    events = EventLog()
    thread_client, task_client = threads.client(quiet.address), tasks.client(quiet.address)
    gate_client = threads.client(quiet.address)
    gate = threads.lock(fresh_name, gate_client)
    gate.acquire()
    shared = tasks.lock(fresh_name, task_client)
    futures: list[Future[Any]] = []
    for n in range(THREADS):
        own = threads.lock(fresh_name, thread_client)
        futures.append(threads.start(hold_once(own, f"thread {n}", events)))
    futures += [tasks.start(hold_once(shared, f"task {n}", events)) for n in range(TASKS)]

    eventually(lambda: len(gate.waiters()) == 2, message="both clients are in Consul's line")
    # Two keepers of threads: the gate's client has one as well, and a watchdog as it holds.
    assert sorted(threads.helpers()) == ["consul-lock-keeper"] * 2 + ["consul-lock-watchdog"]
    assert tasks.helpers() == ["consul-lock-keeper"]
    assert len(set(threading.enumerate()) - before) == THREADS + 3
    assert events.events() == []

    requests.clear()
    start = time.monotonic()
    gate.release()
    for future in futures:
        future.result(PATIENCE)
    log.info("700 turns: %.2f s, %s", time.monotonic() - start, dict(requests.kinds))
    holds = one_at_a_time(events.events())
    assert len(holds) == len({hold.who for hold in holds}) == THREADS + TASKS
    assert requests.failures == []
    # Two clients in Consul's line cost as much as two, however many callers they have.
    assert requests.of_locking() < 8 * (THREADS + TASKS)
    close_all(threads, [thread_client, gate_client])
    close_all(tasks, [task_client])
    assert quiet.sessions() == []
    assert quiet.keys(fresh_name) == []
