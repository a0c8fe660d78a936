"""A game day: the cron jobs of three hosts and some locks, of which several are ill.

`cron check` and the alerts of a real Prometheus, which scrapes the exporter, say the same, and the
dashboard has all of it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from consul_lock import Client, CronState, Election, Survey
from tests.cli.command import Running, children, environment
from tests.cli.exporter.series import address_of
from tests.cli.finished_cron_jobs import Jobs
from tests.cli.inspect_fixture import Hand, ask
from tests.support.agent import Agent
from tests.support.prometheus import Prometheus, debian_program
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

_CONTRIB = Path(__file__).parents[2] / "contrib"
_RULES = _CONTRIB / "prometheus" / "consul-lock.rules.yml"
_DASHBOARD = _CONTRIB / "grafana" / "consul-lock.json"

# What a severity is among the exit codes of a check.
_CODES = {"warning": 1, "critical": 2}


class Scene(NamedTuple):
    """What there is to be seen."""

    below: str
    jobs: Jobs
    prometheus: Prometheus

    def name(self, name: str) -> str:
        return f"{self.below}/{name}"


@pytest.fixture(scope="module")
def scene(agent: Agent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The hosts have fired, and Prometheus has begun to look."""
    below, folder = f"day/{uuid4().hex[:12]}", tmp_path_factory.mktemp("prometheus")
    program = debian_program("prometheus")
    rules = folder / "rules.yml"
    # Nobody waits for half an hour here; promtool shows that the time counts.
    rules.write_text(re.sub(r"(?m)^( +for:) .*$", r"\1 0s", _RULES.read_text()))
    with ExitStack() as stack:
        jobs, hand = Jobs(agent.address, below), Hand(agent.address)
        stack.callback(hand.clear, below)
        stack.callback(jobs.clear)
        _play(jobs, agent.address, stack)
        _hold(hand, below, agent.address, stack)
        exporter = stack.enter_context(
            Running(
                ["exporter", "--listen", "127.0.0.1:0", f"{below}/"], environment(agent.address)
            )
        )
        target = address_of(exporter).removeprefix("http://").removesuffix("/metrics")
        yield Scene(below, jobs, stack.enter_context(Prometheus(program, folder, target, rules)))


def _play(jobs: Jobs, address: str, stack: ExitStack) -> None:
    """What became of the cron jobs: of each hour one host has run it, or none."""
    # The hour of the jobs has begun ten minutes ago, so it does not end meanwhile.
    offset = int(time.time() - 600) % 3600
    every = ("--every", "1h", "--offset", f"{offset}s")
    for ago in (3, 2, 1):
        jobs.run("well", ago, offset=offset)
        jobs.run("failing", ago, CronState.FAILED, 1, offset=offset)
    jobs.run("overdue", 4, offset=offset)
    for name in ("paused", "suspended", "dead"):
        jobs.run(name, 1, offset=offset)
    jobs.records.pause(jobs.name("paused"), reason="deploy")
    jobs.records.pause(jobs.name("suspended"), 7200, reason="deploy")
    # In this hour the first of three hosts runs each, and the others find it done.
    for host in range(3):
        for name in ("well", "failing", "paused", "suspended"):
            command = "false" if name == "failing" else "true"
            words = ["cron", "run", "--name", jobs.name(name), *every, "--report", "never"]
            fired = ask(address, *words, "--", command)
            assert fired.returncode == (1 if (name, host) == ("failing", 0) else 0), fired.stderr
    # One host has begun another job, and dies; one is in the middle of a third.
    for name in ("dead", "long"):
        words = ["cron", "run", "--name", jobs.name(name), *every, "--", "sleep", "600"]
        running = stack.enter_context(Running(words, environment(address)))
        eventually(lambda name=name: _state(jobs, name) is CronState.RUNNING)
        if name == "dead":
            _die(running, jobs)


def _state(jobs: Jobs, name: str) -> CronState | None:
    found = jobs.records.record(jobs.name(name))
    return None if found is None else found.shown


def _die(running: Running, jobs: Jobs) -> None:
    """A host without power: nothing of it says goodbye, and its session ends."""
    session = jobs.record("dead").session
    # It does not see how its command ends, and record that.
    running.send(signal.SIGSTOP)
    for pid in (*running.children(), *(p for c in running.children() for p in children(c))):
        os.kill(pid, signal.SIGKILL)
    running.send(signal.SIGKILL)
    running.wait()
    Survey(jobs.client).destroy(session)
    eventually(lambda: _state(jobs, "dead") is CronState.LOST)


def _hold(hand: Hand, below: str, address: str, stack: ExitStack) -> None:
    """Locks: one that is waited for, an election, a semaphore with a slot of the dead."""
    hand.hold(f"{below}/busy", {"v": 1, "host": "web1", "pid": 7, "since": 1.0})
    stack.enter_context(
        Running(["run", "--key", f"{below}/busy", "--", "true"], environment(address))
    )
    client = stack.enter_context(Client(address))
    stack.enter_context(Election(f"{below}/lead", client=client))
    gone, _ = hand.slots(f"{below}/sem", 2, 2)
    hand.destroy(gone)


def test_the_check_and_the_alerts_say_the_same(scene: Scene, agent: Agent) -> None:
    """Of each job: fine, a warning, or critical; and of the locks what is wrong with them."""
    expected = {
        "well": 0, "long": 0, "suspended": 0, "paused": 1, "failing": 2, "dead": 2, "overdue": 2,
    }  # fmt: skip
    checked = {name: ask(agent.address, "cron", "check", scene.name(name)) for name in expected}
    assert {name: each.returncode for name, each in checked.items()} == expected

    def alerting() -> bool:
        found = scene.prometheus.alerts()
        codes = dict.fromkeys(expected, 0)
        for (alert, name), severity in found.items():
            if alert.startswith("ConsulLockCron"):
                job = name.removeprefix(f"{scene.below}/")
                codes[job] = max(codes[job], _CODES[severity])
        assert codes == expected, found
        assert found.keys() >= {
            ("ConsulLockCronOverdue", scene.name("overdue")),
            ("ConsulLockCronFailed", scene.name("failing")),
            ("ConsulLockCronFailed", scene.name("dead")),
            ("ConsulLockCronPaused", scene.name("paused")),
            ("ConsulLockHeldTooLong", scene.name("busy")),
            ("ConsulLockHolderDied", scene.name("sem")),
            ("ConsulLockSemaphoreFull", scene.name("sem")),
        }
        return True

    eventually(alerting)
    rules = scene.prometheus.rules()
    assert {rule["health"] for rule in rules} == {"ok"}, rules
    worst = ask(agent.address, "cron", "check", f"{scene.below}/")
    assert worst.returncode == 2


def test_every_query_of_the_dashboard_finds_something(scene: Scene) -> None:
    """With the variables filled in as Grafana does."""
    dashboard = json.loads(_DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in _targets(panel)]
    assert len(queries) > 20
    for query in queries:
        filled = query.replace("$name", ".*").replace("$__rate_interval", "30s")
        assert "$" not in filled
        eventually(lambda filled=filled: scene.prometheus.query(filled), message=query)
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    names = re.fullmatch(r"label_values\((.*), name\)", variables["name"]["query"]["query"])
    assert names
    labels = {each["metric"]["name"] for each in scene.prometheus.query(names[1])}
    assert labels >= {scene.name(name) for name in ("busy", "lead", "sem", "well", "overdue")}


def _targets(panel: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = panel.get("targets", [])
    return found
