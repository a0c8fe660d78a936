"""`consul-lock cron reset`: slots that are run again."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from consul_lock import CronState
from tests.cli.finished_cron_jobs import (
    HOUR,
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask, items, on_a_terminal


def test_reset_lets_the_slot_run_again(jobs: Jobs, address: str) -> None:
    """Its author is recorded."""
    jobs.run("job")
    name = jobs.name("job")
    result = ask(address, "cron", "reset", name, "--yes")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == f"consul-lock: reset {name}: as if no slot was run\n"
    shown = ask(address, "cron", "show", name).stdout
    assert shown.startswith(f"{name}: idle")
    assert re.search(r"changed .*: reset by \S+@\S+\n", shown)
    assert "done (reset)" in ask(address, "cron", "history", name).stdout
    jobs.run("job")


def test_reset_sets_a_slot_that_is_far_ahead_back(jobs: Jobs, address: str) -> None:
    """Times in any form that says its zone; a day without one is a slip."""
    name = jobs.name("job")
    future = jobs.run("job", ago=-48)
    now = time.time() // HOUR * HOUR
    for slot in (f"{datetime.fromtimestamp(now - HOUR, UTC):%Y-%m-%dT%H:%M:%SZ}", str(now - HOUR)):
        result = ask(address, "cron", "reset", name, "--yes", "--slot", slot, "--json")
        (item,) = items(result)
        assert (item["slot_epoch"], item["slot"] == future) == (now - HOUR, False)
    jobs.run("job")
    for slot in ("17:00Z", "2026-11-21", "deploy", ""):
        bad = ask(address, "cron", "reset", name, "--yes", "--slot", slot)
        assert (bad.returncode, "--slot" in bad.stderr) == (64, True), bad
    for slot in ("nan", "-5", "1e300"):
        bad = ask(address, "cron", "reset", name, "--yes", f"--slot={slot}")
        assert (bad.returncode, "--slot: " in bad.stderr) == (64, True), bad


def test_reset_of_ids(jobs: Jobs, address: str) -> None:
    """The ID need not be one that was run."""
    jobs.run("ids", slot="a")
    result = ask(address, "cron", "reset", jobs.name("ids"), "--yes", "--slot", "b")
    assert result.stderr.endswith(": as if b was run last\n")
    with jobs.guard("ids", slot="b").claim() as run:
        assert run.outcome.value == "taken"


def test_reset_force_overwrites_an_unreadable_record(jobs: Jobs, address: str) -> None:
    """Also with a newer version's record; a job can run again."""
    jobs.put("bad/.cron", "hello")
    result = ask(address, "cron", "reset", jobs.name("bad"), "--yes", "--force")
    assert result.returncode == 0, result
    jobs.run("bad")


def test_reset_asks_on_a_terminal(jobs: Jobs, address: str) -> None:
    """It shows what it is about; elsewhere --yes is needed, before Consul is asked."""
    jobs.run("job")
    name = jobs.name("job")
    code, output = on_a_terminal(address, "cron", "reset", name, typed="no\n")
    assert (code, "Forget which slot was run last? [y/N]: no" in output) == (1, True)
    assert re.search(r"run by +\S+ pid ", output)
    assert jobs.record("job").state is CronState.DONE
    code, output = on_a_terminal(address, "cron", "reset", name, typed="y\n")
    assert (code, f"reset {name}" in output) == (0, True)
    jobs.put("bad/.cron", "hello")
    code, output = on_a_terminal(address, "cron", "reset", jobs.name("bad"), "--force", typed="y\n")
    assert (code, "unreadable: it was not written" in output) == (0, True)
    alone = ask("127.0.0.1:1", "cron", "reset", name)
    assert (alone.returncode, "--yes resets it" in alone.stderr) == (64, True)


def test_a_hold_that_changes_during_the_question_is_left_alone(jobs: Jobs, address: str) -> None:
    """A slot that was claimed meanwhile is not forgotten."""
    jobs.run("job", ago=1)

    def run_once_more() -> str:
        jobs.run("job")
        return "y\n"

    code, output = on_a_terminal(address, "cron", "reset", jobs.name("job"), typed=run_once_more)
    assert (code, "has changed meanwhile: it is not reset (75)" in output) == (75, True)
    assert jobs.record("job").state is CronState.DONE
