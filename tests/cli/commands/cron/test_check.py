"""`consul-lock cron check` with the real thing: what a monitoring system gets of jobs that ran."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from consul_lock import CronState
from tests.cli.check.plugin_line_reader import read
from tests.cli.command import environment
from tests.cli.finished_cron_jobs import (
    HOUR,
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.hidden_keys import hiding
from tests.cli.in_process import Result, in_process
from tests.cli.output.json_page import FIELDS
from tests.support.agent import Agent


@pytest.fixture(name="check")
def check_fixture(address: str, jobs: Jobs) -> Any:
    """``check("a", "--grace", "1m")``: exit code, status, text and numbers."""

    def check(name: str, *options: str) -> tuple[int, str, str, list[str]]:
        result = in_process(
            "cron", "check", jobs.name(name), *options, env=environment(address)
        )  # fmt: skip
        assert result.stderr == ""
        return result.returncode, *read(result.stdout.removesuffix("\n"))

    return check


def test_a_fleet_in_which_one_thing_of_each_kind_is_wrong(jobs: Jobs, check: Any) -> None:
    """One job done, one failed, one lost, one timed out, one overdue, two paused, one unreadable:
    each alone, and all of them together."""
    jobs.run("done")
    jobs.run("failed", end=CronState.FAILED, code=3)
    jobs.run("timeout", end=CronState.TIMEOUT, code=143)
    jobs.run("lost", end=CronState.LOST)
    jobs.run("overdue", ago=5)
    jobs.run("until", ago=5, end=CronState.FAILED, code=3)
    jobs.records.pause(jobs.name("until"), 7200)
    jobs.run("for-ever")
    jobs.records.pause(jobs.name("for-ever"), reason="a|b\x1b[2J")
    jobs.put("bad/.cron", "hello")
    codes = {
        "done": 0, "failed": 2, "timeout": 2, "lost": 2, "overdue": 2, "until": 0, "for-ever": 1,
        "bad": 3, "none": 3,
    }  # fmt: skip
    assert {name: check(name)[0] for name in codes} == codes
    assert check("overdue", "--grace", "1d")[0] == 0
    assert check("failed", "--max-failures", "2")[:2] == (1, "WARNING")
    code, status, text, numbers = check("")
    assert (code, status) == (2, "CRITICAL")
    assert text.startswith("6 of 8 cron jobs: ")
    assert r"a\x7cb\x1b[2J" in text
    assert numbers[:4] == [
        "'jobs'=8;;;0", "'critical'=4;;0;0", "'warning'=1;0;;0", "'unknown'=1;;;0",
    ]  # fmt: skip
    # The worst of what is below a prefix: what is not known comes after a warning.
    for name in ("failed", "timeout", "lost", "overdue"):
        jobs.records.forget(jobs.name(name))
    assert check("")[:2] == (1, "WARNING")
    jobs.records.forget(jobs.name("for-ever"))
    assert check("")[:2] == (3, "UNKNOWN")


def test_json_has_the_documented_fields(jobs: Jobs, address: str) -> None:
    """Of each job those of `cron ls` and what was found; of all the worst."""
    jobs.run("a", end=CronState.FAILED, code=3)
    jobs.run("b")
    words = ("cron", "check", f"{jobs.below}/", "--json")
    result = in_process(*words, env=environment(address))
    document = json.loads(result.stdout)
    assert result.returncode == document["code"] == 2
    assert set(document) - {"v", "items"} == FIELDS["check"]
    assert [item["status"] for item in document["items"]] == ["CRITICAL", "OK"]
    for item in document["items"]:
        assert set(item) == FIELDS["cron"] | FIELDS["checked"]
    (problem,) = document["items"][0]["problems"]
    assert set(problem) == FIELDS["problem"]
    assert (problem["code"], problem["text"][:18]) == (2, "failed with exit 3")


def test_a_run_that_takes_too_long_and_one_whose_host_is_dead(jobs: Jobs, check: Any) -> None:
    """While it runs all is well, until it lasts longer than is allowed."""
    with jobs.guard("long").claim():
        jobs.forge("long", started_at=time.time() - 600)
        assert check("long", "--max-runtime", "1h")[0] == 0
        code, _, text, numbers = check("long", "--max-runtime", "5m")
        assert (code, "has been running for 10m" in text) == (2, True)
        assert any(number.startswith("'running'=6") for number in numbers)
        jobs.forge("long", session="0" * 36)
        assert check("long")[2].startswith(f"{jobs.name('long')}: lost")
        # As it was written; else the end of the run could not be.
        jobs.records.reset(jobs.name("long"))


def test_a_name_that_is_a_prefix_says_so(jobs: Jobs, check: Any, address: str) -> None:
    """There is no such job, but jobs below it."""
    jobs.run("night/a")
    jobs.run("night/b")
    code, _, text, _ = check("night")
    assert code == 3
    assert text.endswith("/night/, with the /, means the 2 below it")
    assert check("night/")[0] == 0
    code, _, text, _ = check("none/")
    assert (code, text[:28]) == (3, "there are no cron jobs below")
    # Without a name it is all jobs that there are, of other tests, too.
    everything: Result = in_process("cron", "check", env=environment(address))
    assert "cron jobs" in read(everything.stdout.removesuffix("\n"))[1]


def test_the_schedule_of_a_job_is_not_needed_to_know_what_is_overdue(
    jobs: Jobs, check: Any
) -> None:
    """An expression and a zone that this host does not know: the claim has said what follows."""
    jobs.run("nightly", every=None, schedule="0 * * * *", timezone="Europe/Berlin", ago=3)
    following = jobs.record("nightly").next_slot
    assert following is not None
    assert 1.9 * HOUR < time.time() - following < 3.1 * HOUR
    jobs.forge("nightly", schedule="no expression Nowhere/Land")
    code, _, text, _ = check("nightly")
    assert (code, "overdue by" in text) == (2, True)


def test_jobs_that_are_hidden_from_the_token_are_unknown(jobs: Jobs, address: str) -> None:
    """Where the server says that there are more: they could be overdue.  What is seen to be wrong
    is worse."""
    jobs.run("seen")
    jobs.run("secret")
    with hiding(address, "secret") as server:
        result = in_process("cron", "check", f"{jobs.below}/", env=environment(server))
        assert result.returncode == 3
        assert "done" in result.stdout
        assert "; some keys are hidden from this token | " in result.stdout
        words = ("cron", "check", f"{jobs.below}/", "--json")
        assert json.loads(in_process(*words, env=environment(server)).stdout)["hidden"] is True
        jobs.run("failed", end=CronState.FAILED, code=3)
        result = in_process("cron", "check", f"{jobs.below}/", env=environment(server))
        assert (result.returncode, result.stdout[:8]) == (2, "CRITICAL")
        jobs.put("secret/.lock", "x")
        for words in (("cron", "check"), ("check",)):
            result = in_process(*words, jobs.name("secret"), env=environment(server))
            assert (result.returncode, result.stdout[:7]) == (3, "UNKNOWN")


def test_a_token_that_may_not_read_is_unknown(consul_binary: Path) -> None:
    """Denied, or hidden: never 0."""
    with Agent(consul_binary, acl=True) as agent:
        blind = agent.token_for('key_prefix "other/" { policy = "read" }')
        for token in (blind, "00000000-0000-0000-0000-000000000000"):
            env = environment(agent.address, CONSUL_HTTP_TOKEN=token)
            for name in ("jobs/a", "jobs/"):
                result = in_process("cron", "check", name, env=env)
                assert (result.returncode, result.stdout[:10]) == (3, "UNKNOWN - ")
            result = in_process("check", "jobs/a", env=env)
            assert (result.returncode, result.stdout[:10]) == (3, "UNKNOWN - ")
