"""The end of an extra run: what cannot be recorded, and a session that ends with it."""

from __future__ import annotations

import json
import sys

import pytest

from consul_lock import CronState
from consul_lock_cli.run.loss import AFTERWARDS
from tests.cli.command import consul
from tests.cli.cron_fixture import (
    Job,
    job_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask
from tests.support.actions import PASS, Action
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy


def test_an_extra_run_that_cannot_be_recorded_is_a_warning(job: Job, address: str) -> None:
    """The exit code stays that of the command, and the lock is released."""

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        writes = path.startswith("/v1/txn") and b'"cas"' in body
        return Answer(403, {}, b"Permission denied") if writes else PASS

    job.fire("--every", "1h", "--", "true")
    with Proxy(address, rule) as proxy:
        done = ask(proxy.address, "cron", "run-now", job.name, "--", "sh", "-c", "exit 5")
    assert done.returncode == 5
    assert "this extra run" in done.stderr
    assert "could not be recorded" in done.stderr
    assert job.record().history == ()
    assert job.left()[0] == [job.key]


_COMMANDS = [("run", "--slot", "b", "--name"), ("run-now",)]


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_session_that_ends_before_the_run_makes_it_a_lost_one(
    command: tuple[str, ...], job: Job, address: str
) -> None:
    """By its exit code and by its record, though consul-lock had not noticed."""
    job.fire("--slot", "a", "--", "true")
    destroy = (
        "import os; from tests.cli.command import consul; session ="
        f" os.environ['CONSUL_LOCK_SESSION']; consul({address!r}, 'PUT',"
        " f'/v1/session/destroy/{session}')"
    )
    done = ask(address, "cron", *command, job.name, "--", sys.executable, "-c", destroy)
    assert done.returncode == 76
    assert _state(job, command) is CronState.LOST


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_session_that_ends_after_the_run_changes_nothing(
    command: tuple[str, ...], job: Job, address: str
) -> None:
    """Its end was recorded under the lock, which is all that there was to it: not a warning, and
    with -v not a release either."""

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        if path.startswith("/v1/txn") and b'"unlock"' in body:
            for operation in json.loads(body):
                if operation["KV"]["Verb"] == "unlock":
                    session = operation["KV"]["Session"]
                    consul(address, "PUT", f"/v1/session/destroy/{session}")
        return PASS

    job.fire("--slot", "a", "--", "true")
    with Proxy(address, rule) as proxy:
        done = ask(proxy.address, "cron", *command, job.name, "-v", "--", "true")
    assert done.returncode == 0
    *_, exited, last = done.stderr.splitlines()
    assert "command exited 0" in exited
    assert last == f"consul-lock: {AFTERWARDS}"
    assert "warning" not in done.stderr
    assert _state(job, command) is CronState.DONE


def _state(job: Job, command: tuple[str, ...]) -> CronState:
    record = job.record()
    return record.history[0].state if command[0] == "run-now" else record.state
