"""`consul-lock cron pause` and `resume`."""

from __future__ import annotations

import re
import time

import pytest

from tests.cli.finished_cron_jobs import (
    ESCAPES,
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask, items
from tests.support.waiting import eventually


def test_pause_and_resume(jobs: Jobs, address: str) -> None:
    """With who did it and why; what is not paused cannot be resumed."""
    name = jobs.name("job")
    jobs.run("job")
    result = ask(address, "cron", "pause", name, "--for", "2h", "--reason", f"deploy {ESCAPES}")
    assert (result.returncode, result.stdout) == (0, "")
    assert re.match(
        rf"consul-lock: paused {name} by \S+@\S+ until .*Z: deploy web\\x1b\[2J", result.stderr
    )
    paused = jobs.record("job").paused
    assert paused is not None
    assert paused.until is not None
    assert paused.until - paused.at == pytest.approx(7200)
    (item,) = items(ask(address, "cron", "resume", name, "--json"))
    assert (item["paused"], item["changed"]["what"]) == (None, "resumed")
    again = ask(address, "cron", "resume", name)
    assert (again.returncode, again.stderr) == (
        1, f"consul-lock: nothing to resume: {name} is not paused\n",
    )  # fmt: skip


def test_a_pause_that_is_over_is_none(jobs: Jobs, address: str) -> None:
    """It is not shown, and there is nothing to resume."""
    jobs.run("job")
    jobs.records.pause(jobs.name("job"), 0.001)
    eventually(lambda: not jobs.record("job").is_paused(time.time()))
    (item,) = items(ask(address, "cron", "ls", jobs.name("job"), "--json"))
    assert (item["state"], item["paused"]) == ("done", None)
    assert ask(address, "cron", "resume", jobs.name("job")).returncode == 1


def test_a_job_that_was_never_run_can_be_paused(jobs: Jobs, address: str) -> None:
    """If that is what is wanted."""
    assert ask(address, "cron", "pause", jobs.name("new"), "--new").returncode == 0
    with jobs.guard("new").claim() as run:
        assert run.outcome.value == "paused"


def test_all_jobs_below_a_prefix_are_paused_and_resumed(jobs: Jobs, address: str) -> None:
    """Those of another prefix are not; what cannot be read is left alone, with a warning."""
    for name in ("night/a", "night/b", "nightly"):
        jobs.run(name)
    jobs.put("night/bad/.cron", "hello")
    prefix = f"{jobs.name('night')}/"
    below = [f"{prefix}a", f"{prefix}b"]
    paused = ask(address, "cron", "pause", prefix, "--reason", "move", "--json")
    assert (paused.returncode, [item["name"] for item in items(paused)]) == (0, below)
    assert "left alone: " in paused.stderr
    assert jobs.record("nightly").paused is None
    resumed = ask(address, "cron", "resume", prefix, "--json")
    assert [(item["name"], item["paused"]) for item in items(resumed)] == [
        (name, None) for name in below
    ]
    bare = ask(address, "cron", "pause", prefix.rstrip("/"))
    assert bare.returncode == 1
    assert f"consul-lock: {prefix}, with the /, means the 3 jobs below it\n" in bare.stderr
    again = ask(address, "cron", "resume", prefix)
    assert (again.returncode, "no job there is paused" in again.stderr) == (1, True)
    assert ask(address, "cron", "pause", f"{jobs.name('none')}/").returncode == 1


@pytest.mark.parametrize("words", [["jobs/", "--new"], [""]])
def test_a_prefix_is_not_paused_before_its_jobs_have_names(words: list[str]) -> None:
    """Nor is everything that there is, by a variable that is empty."""
    assert ask("127.0.0.1:1", "cron", "pause", *words).returncode == 64
