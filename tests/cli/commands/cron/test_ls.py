"""`consul-lock cron ls`: what became of each job."""

from __future__ import annotations

import re

import pytest

from consul_lock import CronState, LockLost
from tests.cli.command import consul
from tests.cli.finished_cron_jobs import (
    ESCAPES,
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask, items


def test_ls_shows_the_state_of_each(jobs: Jobs, address: str) -> None:
    """Done, failed, of IDs, paused, under way, dead, and what is no record."""
    jobs.run("done")
    jobs.run("failed", end=CronState.FAILED, code=3)
    jobs.run("ids", slot="2026-11-21")
    jobs.run("paused")
    jobs.records.pause(jobs.name("paused"), 7200, reason=f"deploy {ESCAPES}", by="me@web1")
    jobs.put("bad/.cron", "hello")
    with jobs.guard("alive").claim():
        result = ask(address, "cron", "ls", f"{jobs.below}/")
    assert (result.returncode, result.stderr) == (0, "")
    head, alive, bad, done, failed, ids, paused = result.stdout.splitlines()
    assert head.split() == ["NAME", "STATE", "SLOTS", "LAST", "HOST", "RESULT", "NOTE"]
    slot = r"\d\d:00Z"
    assert re.search(rf"/alive +running +every 1h +{slot} +\S+ +for \d", alive)
    assert re.search(r"/bad +unreadable +- .*not written by a cron guard \(flags 0\)$", bad)
    assert re.search(rf"/done +done +every 1h +{slot} +\S+ +exit 0 in \S+s$", done)
    assert re.search(rf"/failed +failed +every 1h +{slot} +\S+ +exit 3 in ", failed)
    assert re.search(r"/ids +done +IDs +2026-11-21 +", ids)
    assert re.search(r"/paused +paused .* by me@web1 until \S+.*Z: deploy web\\x1b\[2J", paused)
    assert "\x1b" not in result.stdout
    assert ask(address, "cron", "ls", f"{jobs.below}/no").stdout == ""


def test_a_run_whose_host_is_dead_is_lost(jobs: Jobs, address: str) -> None:
    """Whatever its record says; show says both."""
    claim = jobs.guard("dead").claim()
    run = claim.__enter__()
    assert run.lock is not None
    consul(address, "PUT", f"/v1/session/destroy/{run.lock.session_id}")
    name = jobs.name("dead")
    (item,) = items(ask(address, "cron", "ls", name, "--json"))
    assert item["state"] == "lost"
    shown = ask(address, "cron", "show", name).stdout
    assert shown.startswith(f"{name}: lost (every 1h)\n")
    assert "running by its record, but its session is gone: it is dead" in shown
    assert " LOST " in ask(address, "cron", "history", name).stdout
    with pytest.raises(LockLost):
        claim.__exit__(None, None, None)


def test_ls_of_everything_shows_jobs_beside_locks(jobs: Jobs, address: str) -> None:
    """The lock of a run under way, and the job; of one that is idle the job alone."""
    jobs.run("a")
    jobs.put("bad/.cron", "hello")
    with jobs.guard("b").claim() as run:
        result = ask(address, "ls", jobs.below)
        found = items(ask(address, "ls", jobs.below, "--json"))
    _, a, lock, b, bad = result.stdout.splitlines()
    host = r"\S+ exit 0 in \S+s"
    assert re.search(rf"/a +done +every 1h +{host} +slot \d\d:00Z +-$", a)
    assert re.search(r"/b +held +lock ", lock)
    assert re.search(r"/b +running +every 1h +\S+ for \S+ +slot \d\d:00Z +-$", b)
    assert re.search(r"/bad +unreadable +- +it was not written", bad)
    names = [(item["name"].rpartition("/")[2], item["kind"], item["state"]) for item in found]
    assert names == [("a", "cron", "done"), ("b", "lock", "held"), ("b", "cron", "running"),
                     ("bad", "cron", "unreadable")]  # fmt: skip
    assert (found[1]["cron"], found[2]["cron"]["slot"]) == (None, run.slot)
    line = ask(address, "ls", jobs.name("a"), "--format", "{kind} {cron.state} {cron.exit}").stdout
    assert line == "cron done 0\n"
