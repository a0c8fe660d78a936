"""`doctor`: this host."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from collections.abc import Callable
from email.utils import formatdate

from tests.cli.command import COMMAND, PATIENCE, environment
from tests.cli.doctor.doctor_fixture import doctor
from tests.support.agent import Agent
from tests.support.http_messages import Answer


def test_a_clock_that_differs_from_the_agents(altered: Callable[[str, Answer], str]) -> None:
    """By the Date of an answer, an hour before."""
    date = formatdate(time.time() - 3630, usegmt=True)
    answer = Answer(200, {"Date": date}, b'"127.0.0.1:8300"')
    status_file = doctor(altered("status/leader", answer))
    assert status_file.bad() == {"agent-clock": "warn"}
    assert "1h00m" in status_file.items["agent-clock"]["text"]


def test_few_open_files_are_warned_of(agent: Agent) -> None:
    """As under a service with a small limit."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    result = subprocess.run(
        [*COMMAND, "doctor", "--json", "--long-poll", "0"],
        env=environment(agent.address),
        capture_output=True,
        preexec_fn=few,
        timeout=PATIENCE,
        check=False,
    )
    items = {item["check"]: item for item in json.loads(result.stdout)["items"]}
    assert items["open-files"]["verdict"] == "warn"
    assert "ulimit -n" in items["open-files"]["hint"]
