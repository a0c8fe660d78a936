"""The leader is killed: a cluster with the timing of production has none for 15 to 19 s."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.command import Running, environment
from tests.cluster.holder_and_waiter import ENDURES, PATIENCE, Pair, Worker
from tests.support.agent import Agent
from tests.support.callers import Callers, Tasks, Threads
from tests.support.cluster import Cluster
from tests.support.event_log import SharedEventLog
from tests.support.overlap_check import one_at_a_time
from tests.support.waiting import eventually

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]

Start = Callable[..., Running]


@pytest.fixture
def events(tmp_path: Path) -> SharedEventLog:
    """For all processes of the test."""
    return SharedEventLog(tmp_path / "events")


@pytest.fixture
def start_job(cluster: Cluster, events: SharedEventLog) -> Iterator[Start]:
    """Start a job under `consul-lock run`, that runs until a file exists."""
    paths = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
    env = environment(cluster.client.address, PYTHONPATH=paths)
    with ExitStack() as stack:

        def start(name: str, who: str, until: Path) -> Running:
            job = [sys.executable, "-m", "tests.cluster.job"]
            job += [str(events.path), name, who, str(until)]
            enduring = [f"--ttl={ENDURES:g}s", f"--lock-delay={ENDURES:g}s"]
            options = ["--key", name, *enduring, f"--retry-for={PATIENCE:g}s"]
            return stack.enter_context(Running(["run", *options, "--", *job], env))

        yield start


def test_nothing_is_lost_when_the_leader_is_killed(
    cluster: Cluster, tasks: Tasks, events: SharedEventLog, start_job: Start, fresh_name: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Holders hold on, waiters wait on, a job runs on; afterwards all get on, one by one."""
    agent, go = cluster.client, tmp_path / "go"
    others = _session_ids(agent)
    names = [f"{fresh_name}/{kind}" for kind in ("thread", "task", "job", "turns")]
    by_thread = Pair(Threads(), agent.address, names[0], events)
    by_task = Pair(tasks, agent.address, names[1], events)
    first = start_job(names[2], "first", go)
    eventually(lambda: events.events(names[2]), message="the job runs")
    second = start_job(names[2], "second", go)
    eventually(lambda: _in_lines(agent, names[:3]) == [1, 1, 1], message="one waits for each")
    faces: list[Callers] = [Threads(), Threads(), tasks, tasks]
    workers = [
        Worker(face, agent.address, names[3], f"worker-{n}", events) for n, face in enumerate(faces)
    ]
    eventually(lambda: len(events.events(names[3])) > 100, message="the workers take turns")

    killed_at = time.monotonic()
    dead = cluster.kill_leader()
    by_then = by_thread.deadline(), by_task.deadline()
    elected_at = _wait_for_leader(
        cluster, dead, lambda: by_thread.stands() and by_task.stands() and first.running()
    )
    # Renewed by the new leader: a holder without news has the deadline that it had.
    eventually(lambda: by_thread.deadline() > by_then[0] + 1, message="a thread's lock is renewed")
    eventually(lambda: by_task.deadline() > by_then[1] + 1, message="a task's lock is renewed")
    _turns_go_on(events, names[3], elected_at)
    assert by_thread.stands()
    assert by_task.stands()
    assert (first.running(), second.running()) == (True, True)

    by_thread.finish()
    by_task.finish()
    go.touch()
    assert (first.wait(), second.wait()) == (0, 0), first.errors() + second.errors()
    for worker in workers:
        worker.finish()
    assert [grant.who for grant in one_at_a_time(events.events(names[0]))] == ["holder", "waiter"]
    assert [grant.who for grant in one_at_a_time(events.events(names[1]))] == ["holder", "waiter"]
    assert [grant.who for grant in one_at_a_time(events.events(names[2]))] == ["first", "second"]
    turns = one_at_a_time(events.events(names[3]))
    assert {grant.who for grant in turns} == {f"worker-{n}" for n in range(4)}
    log.info(
        "without a leader for %.1f s; %d turns before, %d after the kill",
        elected_at - killed_at,
        sum(turn.when < killed_at for turn in turns),
        sum(turn.when >= killed_at for turn in turns),
    )
    eventually(lambda: _session_ids(agent) <= others, message="no session of this test is left")
    assert agent.living(fresh_name) == []


def _wait_for_leader(cluster: Cluster, dead: Agent, stands: Callable[[], bool]) -> float:
    """Wait until another server leads, and see that everything stands all the time."""
    fallen: list[float] = []

    def another() -> bool:
        if not stands():
            fallen.append(time.monotonic())
        return cluster.leader(other_than=dead, timeout=0) is not dead

    eventually(another, 120, message="another server leads")
    assert fallen == []
    return time.monotonic()


def _turns_go_on(events: SharedEventLog, name: str, since: float) -> None:
    """Each worker gets its turns again."""

    def each() -> bool:
        whos = {event.who for event in events.events(name) if event.when > since}
        return len(whos) == 4

    eventually(each, PATIENCE, message="every worker gets the lock again")


def _session_ids(agent: Agent) -> set[str]:
    return {session["ID"] for session in agent.sessions()}


def _in_lines(agent: Agent, names: list[str]) -> list[int]:
    return [len(agent.living(f"{name}/.queue/")) for name in names]
