"""An extra run whose end cannot be recorded."""

from __future__ import annotations

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
