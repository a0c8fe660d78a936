"""A cron job in the crontab of many hosts, each a process, on the real agent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Self

import pytest

from consul_lock import Client, CronGuard, CronRecord, CronRecords, CronState
from tests.interop.go_command import environment
from tests.support.actions import DROP_AFTER, PASS, Action
from tests.support.agent import Agent
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).resolve().parents[2]

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 150.0

# Short, so that what died is replaced in some ten seconds, not in a minute; and so long that a
# host of a busy machine is not taken for dead.
LOCK_DELAY, HEARTBEAT = 6.0, 3.0


class Run(NamedTuple):
    """A line of the ledger."""

    slot: str
    attempt: int
    pid: int
    at: float


class Hosts:
    """Processes that claim slots of one job."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._ledger = folder / "ledger"
        self._ledger.touch()
        self._folder = folder
        self._hosts: list[subprocess.Popen[str]] = []

    def add(self, address: str, **settings: Any) -> subprocess.Popen[str]:
        """One more, which waits for `go`."""
        command = [sys.executable, "-m", "tests.stress.cron_worker", address, self.name]
        asked = {"lock_delay": LOCK_DELAY, **settings}
        with (self._folder / f"errors-{len(self._hosts)}").open("w") as errors:
            host = subprocess.Popen(
                [*command, str(self._ledger), json.dumps(asked)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=_ROOT,
                env=environment(),
            )
        self._hosts.append(host)
        return host

    def ready(self) -> None:
        """Wait until all have started."""
        for host in self._hosts:
            assert host.stdout is not None
            assert host.stdout.readline() == "ready\n", self._complaints()

    def go(self) -> None:
        """Let all begin, at the same time; slots that have a time begin in two seconds."""
        first = int(time.time()) // 2 * 2 + 4
        for host in self._hosts:
            assert host.stdin is not None
            host.stdin.write(f"{first}\n")
            host.stdin.flush()

    def finish(self) -> Counter[str]:
        """Wait for the end of all.  How often what came of a claim."""
        outcomes: Counter[str] = Counter()
        for host in self._hosts:
            said, _ = host.communicate(timeout=PATIENCE)
            assert host.returncode == 0, self._complaints()
            outcomes.update(line.split()[2] for line in said.splitlines())
        return outcomes

    def runs(self) -> list[Run]:
        """What was run, so far."""
        lines = [line.split() for line in self._ledger.read_text().splitlines()]
        return [Run(slot, int(n), int(pid), float(at)) for slot, n, pid, at in lines]

    def _complaints(self) -> str:
        return "\n".join(path.read_text() for path in self._folder.glob("errors-*"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for host in self._hosts:
            host.kill()
            host.communicate()


@pytest.fixture
def hosts(fresh_name: str, tmp_path: Path) -> Iterator[Hosts]:
    """Nobody yet."""
    with Hosts(fresh_name, tmp_path) as made:
        yield made


def record(agent: Agent, name: str) -> CronRecord:
    with Client(agent.address) as client:
        found = CronRecords(client).record(name)
    assert found is not None
    return found


def test_ten_hosts_whose_clocks_differ_by_four_seconds_run_each_of_twelve_slots_once(
    own_agent: Agent, hosts: Hosts
) -> None:
    """The slots are two seconds long, so a fast host is two slots ahead of a slow one; and each
    clock is stepped back by two fifths of a second in the middle.  A run that a busy machine ends
    late is waited for; a slot would be missed if it did nothing for six seconds."""
    count, slots = 10, 12
    options = {"every": 2, "overlap": "wait", "slots": list(range(0, 2 * slots, 2))}
    for place in range(count):
        skew = 4.0 * place / (count - 1) - 2.0
        hosts.add(own_agent.address, **options, skew=skew, step=-0.4)
    hosts.ready()
    hosts.go()
    outcomes = hosts.finish()
    ran = Counter(run.slot for run in hosts.runs())
    assert set(ran.values()) == {1}, ran
    assert len(ran) == slots, ran
    assert outcomes["run"] == slots
    assert sum(outcomes.values()) == count * slots


def test_of_forty_processes_that_race_for_one_slot_one_runs_it(
    own_agent: Agent, hosts: Hosts
) -> None:
    """Nobody takes a neighbour that merely looks for a run."""
    for _ in range(40):
        hosts.add(own_agent.address, slots=["race"])
    hosts.ready()
    hosts.go()
    assert hosts.finish() == {"run": 1, "taken": 39}
    assert [run.attempt for run in hosts.runs()] == [1]


def test_when_half_of_the_answers_are_lost_each_slot_is_run_once(
    own_agent: Agent, hosts: Hosts
) -> None:
    """They are carried out all the same: the winner finds that out by its own claim.

    The slots follow each other without a pause, and to end a run takes a while here, so hosts wait
    for the run before: all of them may come while it is under way, and would skip the slot.  A lock
    that counts for a few seconds could be lost before one of its renewals is answered.
    """
    slots, chance = ["a", "b", "c"], Random("answers")
    options: dict[str, Any] = {"ttl": 60.0, "lock_delay": 60.0, "overlap": "wait"}

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        return chance.choice((PASS, DROP_AFTER))

    with Proxy(own_agent.address, rule) as proxy:
        for _ in range(5):
            hosts.add(proxy.address, slots=slots, work=0.0, **options)
        hosts.ready()
        hosts.go()
        outcomes = hosts.finish()
        lost = sum(seen.status is None for seen in proxy.log)
    assert Counter(run.slot for run in hosts.runs()) == dict.fromkeys(slots, 1)
    assert outcomes == {"run": len(slots), "taken": 4 * len(slots)}
    assert lost > 10


def test_a_killed_run_is_lost_and_is_run_once_more_when_it_is_certainly_dead(
    own_agent: Agent, hosts: Hosts, tmp_path: Path
) -> None:
    """By one who stands by for that, and not before the lock-delay is over; then the next slot."""
    options: dict[str, Any] = {"slots": ["a"], "heartbeat": HEARTBEAT, "work": PATIENCE}
    winner = hosts.add(own_agent.address, **options)
    hosts.ready()
    hosts.go()
    eventually(lambda: len(hosts.runs()) == 1, message="the slot is run")
    with Hosts(hosts.name, tmp_path) as others:
        for _ in range(3):
            others.add(
                own_agent.address, slots=["a"], heartbeat=HEARTBEAT, retry_crashed=1, standby=60
            )
        others.ready()
        others.go()
        winner.kill()
        killed = time.monotonic()
        outcomes = others.finish()
    runs = hosts.runs()
    assert [(run.slot, run.attempt) for run in runs] == [("a", 1), ("a", 2)]
    assert runs[1].at - killed > LOCK_DELAY
    assert outcomes == {"run": 1, "taken": 2}
    found = record(own_agent, hosts.name)
    assert (found.state, found.history[0].state) == (CronState.DONE, CronState.LOST)


def test_after_a_killed_run_the_next_slot_is_run_and_nobody_repeats_the_lost_one(
    own_agent: Agent, hosts: Hosts
) -> None:
    """At most once, unless a retry is asked for."""
    winner = hosts.add(own_agent.address, slots=["a"], heartbeat=HEARTBEAT, work=PATIENCE)
    hosts.ready()
    hosts.go()
    eventually(lambda: len(hosts.runs()) == 1, message="the slot is run")
    winner.kill()
    winner.wait()
    eventually(lambda: record(own_agent, hosts.name).shown is CronState.LOST, message="it is seen")
    with Client(own_agent.address) as client:
        outcomes = []
        for slot in ("a", "b"):
            guard = CronGuard(hosts.name, client=client, slot=slot, standby=30)
            with guard.claim() as run:
                outcomes.append(run.outcome.value)
    assert outcomes == ["taken", "run"]
    assert record(own_agent, hosts.name).history[0].state is CronState.LOST
