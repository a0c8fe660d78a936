"""`consul-lock doctor`: what is printed, and its exit code."""

from __future__ import annotations

import subprocess

from consul_lock_cli.doctor.checks import CHECKS
from tests.cli.command import COMMAND, PATIENCE, environment
from tests.cli.doctor.doctor_fixture import doctor, sessions_left
from tests.support.agent import Agent
from tests.support.proxy import Proxy


def test_a_good_agent_has_no_complaint_and_keeps_nothing(agent: Agent, fresh_name: str) -> None:
    """Every check is made; neither a key nor a session is left."""
    with Proxy(agent.address) as proxy:
        status_file = doctor(proxy.address, "--key", fresh_name)
        assert proxy.count("PUT", "session/create")
        assert sessions_left(proxy, agent) == 0
    assert status_file.bad() == {}
    assert status_file.code == 0
    assert status_file.stderr == ""
    verdicts = {name: item["verdict"] for name, item in status_file.items.items()}
    assert {name for name, verdict in verdicts.items() if verdict == "skip"} == {
        "client-certificate",
        "config-files",
        "cron-clocks",
        "tls",
    }
    assert agent.keys(fresh_name) == []


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
    lines = [line.split(maxsplit=2) for line in result.stdout.splitlines()]
    assert [line[1] for line in lines if line[0] != "hint:"] == [check.name for check in CHECKS]
    assert {line[0] for line in lines} <= {"OK", "SKIP", "WARN", "FAIL", "hint:"}
    assert ["WARN", "client-agent"] in [line[:2] for line in lines]


def test_strict_makes_one_of_a_warning(agent: Agent) -> None:
    """The tests' agent is a server, of which the doctor warns."""
    status_file = doctor(agent.address, "--strict")
    assert status_file.items["client-agent"]["verdict"] == "warn"
    assert status_file.code == 1
    assert "--strict" in status_file.stderr
