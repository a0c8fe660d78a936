"""`consul-lock doctor`: what is printed, and its exit code."""

from __future__ import annotations

import re
import subprocess

import click
import pytest

from consul_lock_cli.commands.doctor import summary
from consul_lock_cli.doctor.checks import CHECKS, Result
from consul_lock_cli.doctor.finding import Finding, Verdict
from tests.cli.command import COMMAND, PATIENCE, environment
from tests.cli.doctor.doctor_fixture import doctor, sessions_left
from tests.cli.in_process import in_process
from tests.support.agent import Agent
from tests.support.proxy import Proxy


def test_a_good_agent_has_no_complaint_and_keeps_nothing(own_agent: Agent, fresh_name: str) -> None:
    """Every check is made; neither a key nor a session is left."""
    with Proxy(own_agent.address) as proxy:
        status_file = doctor(proxy.address, "--key", fresh_name)
        assert proxy.count("PUT", "session/create")
        assert sessions_left(proxy, own_agent) == 0
    assert status_file.bad() == {}
    assert status_file.code == 0
    assert status_file.stderr == ""
    verdicts = {name: item["verdict"] for name, item in status_file.items.items()}
    skipped = {name for name, verdict in verdicts.items() if verdict == "skip"}
    assert skipped == {"client-certificate", "config-files", "cron-clocks", "tls"}
    assert own_agent.keys(fresh_name) == []


def test_the_text_has_a_line_for_each_check(agent: Agent) -> None:
    """With a hint below what is not well."""
    result = subprocess.run(
        [*COMMAND, "doctor", "--long-poll", "100ms"],
        env=environment(agent.address),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    *checks, last = result.stdout.splitlines()
    assert re.fullmatch(r"\d+ ok, \d+ skipped, \d+ warnings?, 0 failed: locks work here; .*", last)
    lines = [line.split(maxsplit=2) for line in checks]
    assert [line[1] for line in lines if line[0] != "hint:"] == [check.name for check in CHECKS]
    assert {line[0] for line in lines} <= {"OK", "SKIP", "WARN", "FAIL", "hint:"}
    assert ["WARN", "client-agent"] in [line[:2] for line in lines]


@pytest.mark.parametrize(
    "verdicts, last",
    [
        (["ok", "skip"], "1 ok, 1 skipped, 0 warnings, 0 failed: locks work here"),
        (["ok", "warn"], "1 ok, 0 skipped, 1 warning, 0 failed: locks work here; see the warnings"),
        (["warn", "fail"], "0 ok, 0 skipped, 1 warning, 1 failed: locks do not work here"),
    ],
)  # fmt: skip
def test_the_last_line_sums_up(verdicts: list[str], last: str) -> None:
    """How many of each, and what they mean."""
    results = [Result(name, Finding(Verdict(name), "")) for name in verdicts]
    assert click.unstyle(summary(results)) == last


def test_colours_come_when_they_are_wanted() -> None:
    """And not into a pipe by themselves."""
    nowhere = environment("127.0.0.1:1")
    plain = in_process("doctor", "--retry-for", "0", env=nowhere)
    colored = in_process("doctor", "--retry-for", "0", "--color", "always", env=nowhere)
    assert "\x1b[" not in plain.stdout
    assert "\x1b[31mFAIL " in colored.stdout


def test_strict_makes_one_of_a_warning(agent: Agent) -> None:
    """The tests' agent is a server, of which the doctor warns."""
    status_file = doctor(agent.address, "--strict")
    assert status_file.items["client-agent"]["verdict"] == "warn"
    assert status_file.code == 1
    assert "--strict" in status_file.stderr
