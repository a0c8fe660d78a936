"""The real workers with a real agent, judged by the checker; broken copies of the project fail."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.support.agent import Agent
from tests.support.effort import scaled
from tests.support.waiting import eventually
from tests.torture.checker import check
from tests.torture.pace import rest
from tests.torture.report import Report
from tests.torture.workforce import ROOT, Workforce
from tests.torture.workload import Job, Turn, turn_of

_JOBS = (
    Job("thread", "lock", "t/lock"),
    Job("go", "lock", "t/lock"),
    Job("command", "lock", "t/lock", kills=0.4),
    Job("task", "semaphore", "t/semaphore", 2),
    Job("command", "semaphore", "t/semaphore", 2, heartbeat=1.0),
    Job("go", "semaphore", "t/semaphore", 2),
    Job("thread", "read_write", "t/read-write"),
    Job("task", "tree", "t/tree"),
    Job("task", "multilock", "t/several"),
    Job("thread", "election", "t/election"),
    Job("cron", "lock", "t/cron"),
    Job("cron", "lock", "t/again", kills=0.4, retry_crashed=1, retry_failed=1),
)
"""Each kind of caller, each kind of lock."""

SECONDS = scaled(5)

_LOOK, _DESTROY = 0.3, 2.4
"""Seconds between two looks at all that was written, and two sessions that are destroyed."""

Done = Callable[[Workforce], bool]


def _run(
    agent: Agent, folder: Path, jobs: Sequence[Job], destroy: str, done: Done, root: Path = ROOT
) -> Report:
    """Let them work until that is done; now and then the session on a key is destroyed."""
    with Workforce(folder, environment(CONSUL_BIN=str(agent.binary)), root=root) as workforce:
        workforce.observe("t/", agent.address)
        for job in jobs:
            workforce.start(job, agent.address)
        due = [time.monotonic() + _DESTROY]

        def over() -> bool:
            if time.monotonic() > due[0]:
                due[0] += _DESTROY
                _destroy(agent, destroy)
            rest(_LOOK)
            return done(workforce)

        eventually(over, 300.0, message="what was to be shown")
        workforce.finish()
        workforce.inventory(agent, "t/")
        return _check(workforce)


def _check(workforce: Workforce) -> Report:
    faults = workforce.folder / "faults"
    faults.touch()
    return check(workforce.histories, faults)


def _destroy(agent: Agent, name: str) -> None:
    entry = agent.entry(f"{name}/.lock")
    if entry and entry.get("Session"):
        agent.request("PUT", f"/v1/session/destroy/{entry['Session']}")


def test_all_kinds_of_callers_and_locks_keep_what_is_promised(
    own_agent: Agent, tmp_path: Path
) -> None:
    """With `consul lock` beside them, wrappers that are killed, and sessions that are destroyed."""
    begun: list[float] = []

    def done(workforce: Workforce) -> bool:
        if not begun:
            kinds = _check(workforce).kinds
            if {name for name, kind in kinds.items() if kind.holders} == {j.kind for j in _JOBS}:
                begun.append(time.monotonic())
        return bool(begun) and time.monotonic() > begun[0] + SECONDS

    report = _run(own_agent, tmp_path, _JOBS, "t/election", done)
    assert report.ok, str(report)
    assert report.reads > 10
    assert report.cron_starts > 0


_BREAKS = {
    "a lost hold goes on to count": (
        "consul_lock/_protocol/hold/hold.py",
        "        if self.state is not State.HELD:\n            return False\n        for",
        "        if self.state is State.LOST:\n            return True\n        for",
        "thread",
    ),
    "a command is not stopped at a loss": (
        "consul_lock_cli/process/supervisor.py",
        "    def _look_at_deadline(self) -> None:\n        if self._lost:",
        "    def _look_at_deadline(self) -> None:\n        if True:",
        "command",
    ),
}
"""A file, what is in it, what stands there instead, and who shows it."""


@pytest.mark.parametrize("what", list(_BREAKS))
def test_the_checker_finds_a_project_that_is_broken(
    own_agent: Agent, tmp_path: Path, what: str
) -> None:
    """Sessions are destroyed under long holds, and the next one is let in after a short
    lock-delay."""
    file, before, after, caller = _BREAKS[what]
    root, folder = tmp_path / "root", tmp_path / "run"
    shutil.copytree(ROOT / "consul_lock", root / "consul_lock")
    shutil.copytree(ROOT / "cli" / "consul_lock_cli", root / "consul_lock_cli")
    (root / "tests").symlink_to(ROOT / "tests")
    folder.mkdir()
    text = (root / file).read_text()
    assert text.count(before) == 1
    (root / file).write_text(text.replace(before, after))
    jobs = [
        Job(caller, "lock", "t/lock", seed=seed, lock_delay=3.0, holds=(60.0,)) for seed in (1, 2)
    ]
    report = _run(
        own_agent, folder, jobs, "t/lock", lambda force: "overlap" in _check(force).rules(), root
    )
    assert report.kinds["lock"].overlaps["library"] > 0


@pytest.mark.parametrize(
    "primitive, turns",
    [
        ("lock", {Turn(("n",))}),
        ("read_write", {Turn(("n",), "read"), Turn(("n",), "write")}),
        ("tree", {Turn((f"n{below}",), "write") for below in ("", "/a", "/a/b", "/c")}),
    ],
)
def test_turns_are_drawn_from_the_seed(primitive: str, turns: set[Turn]) -> None:
    """All that there are come up, and the same ones with the same seed."""
    job = Job("thread", primitive, "n")
    chance, again = random.Random(1), random.Random(1)
    drawn = [turn_of(job, chance) for _ in range(60)]
    assert drawn == [turn_of(job, again) for _ in range(60)]
    assert set(drawn) == turns


def test_a_job_is_one_argument_of_a_process() -> None:
    """And is read from it again."""
    job = Job("cron", "lock", "n", retry_crashed=1, holds=(1.0, 2.0))
    assert Job.from_json(job.to_json()) == job
