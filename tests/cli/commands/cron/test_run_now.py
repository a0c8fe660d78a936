"""`consul-lock cron run-now`: a run under the run lock that takes no slot."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from consul_lock import Lock
from consul_lock_cli.base.console import Console
from consul_lock_cli.main import cli
from tests.cli.finished_cron_jobs import (
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask, items


def test_an_extra_run_is_recorded_and_takes_no_slot(jobs: Jobs, address: str) -> None:
    """It ends with the exit code of COMMAND; the history shows it, and nothing is missed for it."""
    name = jobs.name("job")
    slot = jobs.run("job", ago=1)
    script = "echo $CONSUL_LOCK_CRON_NAME $CONSUL_LOCK_HELD ${CONSUL_LOCK_CRON_SLOT-none}; exit 3"
    inherited = {"CONSUL_LOCK_CRON_SLOT": "another job's"}
    result = ask(address, "cron", "run-now", name, "--", "sh", "-c", script, **inherited)
    assert (result.returncode, result.stdout) == (3, f"{name} true none\n")
    record = jobs.record("job")
    assert (record.slot, record.exit) == (slot, 0)
    assert jobs.run("job") != slot
    *_, first, extra, last = items(ask(address, "cron", "history", name, "--json"))
    assert (first["slot"], first["extra"], last["extra"]) == (slot, False, False)
    assert (extra["slot"], extra["extra"], extra["state"], extra["exit"]) == (
        None, True, "failed", 3,
    )  # fmt: skip
    shown = ask(address, "cron", "history", name).stdout.splitlines()[2].split()
    assert (shown[2], shown[3], shown[5]) == ("FAILED", "3", "extra")


def test_an_extra_run_is_not_started_beside_another_run(jobs: Jobs, address: str) -> None:
    """75, saying who holds the run lock; nothing is recorded."""
    jobs.run("job")
    name = jobs.name("job")
    with Lock(name, client=jobs.client):
        result = ask(address, "cron", "run-now", name, "--", "echo", "started")
    assert (result.returncode, result.stdout) == (75, "")
    assert "not started (75)" in result.stderr
    assert jobs.record("job").history == ()


def test_a_job_without_a_record_is_not_run_by_a_slip(jobs: Jobs, address: str) -> None:
    """The lock of a misspelt name would keep nobody out; --new is for the first run."""
    name = jobs.name("new")
    command = ["cron", "run-now", name, "--", "echo", "started"]
    result = ask(address, *command)
    assert (result.returncode, result.stdout, "it has no record" in result.stderr) == (64, "", True)
    command.insert(3, "--new")
    assert ask(address, *command).stdout == "started\n"
    (past,) = jobs.record("new").history
    assert (past.extra, past.exit) == (True, 0)
    jobs.run("new")


@pytest.mark.parametrize("words", [["k"], ["k", "--"], ["k", "echo", "-v"], ["--", "a//b", "x"]])
def test_a_line_without_a_name_or_a_command_is_misuse(words: list[str]) -> None:
    """An option of COMMAND is never taken for one of consul-lock's: the -- must be there."""
    runner = CliRunner(env={"CONSUL_HTTP_ADDR": "127.0.0.1:1"})
    result = runner.invoke(cli, ["cron", "run-now", *words], standalone_mode=False, obj=Console())
    assert isinstance(result.exception, click.UsageError)
