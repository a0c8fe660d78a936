"""`consul-lock cron forget`: a job that is gone, and its record."""

from __future__ import annotations

import re

from consul_lock import CronState, Lock
from tests.cli.command import consul
from tests.cli.finished_cron_jobs import (
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask, items, on_a_terminal


def _stored(address: str, name: str) -> object:
    return consul(address, "GET", f"/v1/kv/{name}/?keys")


def test_forget_deletes_the_record_and_warns_that_the_slot_may_run_again(
    jobs: Jobs, address: str
) -> None:
    """Nothing is left below the name, and the job that is forgotten is shown once more."""
    slot, name = jobs.run("job"), jobs.name("job")
    result = ask(address, "cron", "forget", name, "--yes", "--json")
    (item,) = items(result)
    assert (result.returncode, item["slot"]) == (0, slot)
    said, warning = result.stderr.splitlines()
    assert said == f"consul-lock: forgot {name}"
    label = f"{slot[:10]} {slot[11:16]}Z"
    assert f"slot {label} may run again where a host still has {name} in its crontab" in warning
    assert _stored(address, name) is None
    assert jobs.run("job") == slot


def test_a_job_that_was_only_paused_is_forgotten_without_a_warning(
    jobs: Jobs, address: str
) -> None:
    """There is no slot that could run again."""
    name = jobs.name("new")
    jobs.records.pause(name)
    result = ask(address, "cron", "forget", name, "--yes")
    assert (result.returncode, result.stderr) == (0, f"consul-lock: forgot {name}\n")


def test_forget_is_refused_while_the_run_lock_is_held(jobs: Jobs, address: str) -> None:
    """By a run of the job, and by anything else that has the lock of that name: 75."""
    jobs.run("job")
    name = jobs.name("job")
    with Lock(name, client=jobs.client):
        result = ask(address, "cron", "forget", name, "--yes", "--json")
    assert (result.returncode, items(result)) == (75, [])
    problem, hint = result.stderr.splitlines()
    assert problem.endswith(f"'{name}' is not forgotten: its run lock is held (75)")
    assert "cron reset" in hint
    assert jobs.record("job").state is CronState.DONE


def test_forget_is_refused_while_a_slot_without_a_run_lock_is_under_way(
    jobs: Jobs, address: str
) -> None:
    """Nobody can know whether such a run is dead; once it was reset it can be forgotten."""
    name = jobs.name("job")
    with jobs.guard("job", overlap="allow").claim() as run:
        assert run
        result = ask(address, "cron", "forget", name, "--yes")
    assert result.returncode == 75
    assert re.search(r"slot \S+ is running on \S+, without a run lock \(75\)", result.stderr)
    jobs.forge("job", state="running")
    assert ask(address, "cron", "forget", name, "--yes").returncode == 75
    jobs.records.reset(name)
    assert ask(address, "cron", "forget", name, "--yes").returncode == 0


def test_forget_asks_on_a_terminal(jobs: Jobs, address: str) -> None:
    """It shows what it is about; elsewhere --yes is needed, before Consul is asked."""
    jobs.run("job")
    name = jobs.name("job")
    code, output = on_a_terminal(address, "cron", "forget", name, typed="no\n")
    assert (code, "Delete this record? [y/N]: no" in output) == (1, True)
    assert jobs.record("job").state is CronState.DONE
    code, _ = on_a_terminal(address, "cron", "forget", name, typed="y\n")
    assert (code, _stored(address, name)) == (0, None)
    alone = ask("127.0.0.1:1", "cron", "forget", name)
    assert (alone.returncode, "--yes forgets it" in alone.stderr) == (64, True)
