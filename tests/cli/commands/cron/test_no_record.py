"""Jobs without a record, bad input and strange words, for all commands that look at records."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from consul_lock_cli.base.console import Console
from consul_lock_cli.main import cli
from tests.cli.command import consul
from tests.cli.finished_cron_jobs import (
    ESCAPES,
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask


@pytest.mark.parametrize(
    "command", ["show", "history", "pause", "resume", "reset --yes", "forget --yes"]
)
def test_a_job_without_a_record_is_1_and_stays_so(jobs: Jobs, address: str, command: str) -> None:
    """A name that was misspelt must not look as if it were paused."""
    name = jobs.name("nothing")
    result = ask(address, "cron", *command.split(), name)
    assert (result.returncode, result.stdout) == (1, "")
    said, *more = result.stderr.splitlines()
    why = "it has no record, or the token may not read it; 'consul-lock cron ls' lists the jobs"
    assert said == f"consul-lock: there is no cron job {name}: {why}"
    assert [f"--new pauses {name}" in line for line in more] == [True] * (command == "pause")
    assert consul(address, "GET", f"/v1/kv/{name}/.cron") is None


@pytest.mark.parametrize(
    "command", ["show", "history", "pause", "resume", "reset --yes", "forget --yes"]
)
def test_a_value_that_is_not_a_record_is_65_and_left_alone(
    jobs: Jobs, address: str, command: str
) -> None:
    """With what to do."""
    jobs.put("bad/.cron", "hello")
    result = ask(address, "cron", *command.split(), jobs.name("bad"))
    assert result.returncode == 65
    said, hint = result.stderr.splitlines()
    assert "it was not written by a cron guard (flags 0)" in said
    assert "cron reset --force" in hint
    (pair,) = consul(address, "GET", f"/v1/kv/{jobs.name('bad')}/.cron")
    assert pair["Value"] == "aGVsbG8="


@pytest.mark.parametrize(
    "arguments",
    [
        ["pause", "k", "--for", "0"], ["pause", "k", "--for", "367d"], ["show", "a//b"],
        ["pause", "k", "--reason", "x" * 501], ["history", "k", "-n", "0"], ["ls", "a//b"],
    ],
)  # fmt: skip
def test_bad_input_is_misuse_before_consul_is_asked(arguments: list[str]) -> None:
    """An address where nobody listens is no other error."""
    runner = CliRunner(env={"CONSUL_HTTP_ADDR": "127.0.0.1:1"})
    result = runner.invoke(cli, ["cron", *arguments], standalone_mode=False, obj=Console())
    assert isinstance(result.exception, click.UsageError)


def test_bad_input_is_64_as_json_too() -> None:
    """On stdout, beside the message."""
    failed = ask("127.0.0.1:1", "cron", "pause", "k", "--for", "0", "--json")
    assert failed.returncode == 64
    assert json.loads(failed.stdout)["error"]["code"] == 64


def test_escape_sequences_of_others_are_escaped(jobs: Jobs, address: str) -> None:
    """In hosts, reasons, IDs, and who did it."""
    jobs.run("job", slot="an ID")
    name = jobs.name("job")
    jobs.records.pause(name, reason=ESCAPES, by=ESCAPES)
    theirs = ("host", "session", "claim", "schedule", "overlapped")
    jobs.forge("job", overlaps=1, **dict.fromkeys(theirs, ESCAPES))
    text = ask(address, "cron", "show", name).stdout
    assert text.replace("\n", "").isprintable()
    assert text.count("\\x1b[2J") >= len(theirs)
