"""`consul-lock cron history`: past slots as a line of time."""

from __future__ import annotations

from datetime import UTC, datetime

from consul_lock import CronState
from tests.cli.finished_cron_jobs import (
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask, items, on_a_terminal
from tests.cli.output.json_page import FIELDS


def test_history_is_a_time_line(jobs: Jobs, address: str) -> None:
    """The latest at the bottom; what is bad is large; what nobody has run is seen."""
    jobs.run("job", ago=6)
    jobs.run("job", ago=5, end=CronState.FAILED, code=3)
    jobs.run("job", ago=5)
    jobs.run("job", ago=2, end=CronState.TIMEOUT, code=124)
    jobs.run("job")
    name = jobs.name("job")
    result = ask(address, "cron", "history", name)
    head, *lines = result.stdout.splitlines()
    rows = [line for line in lines if line.startswith("20")]
    summary = " ".join(lines[len(rows) :])
    assert head.split() == ["SLOT", "RESULT", "TOOK", "TRY", "HOST"]
    words = [row.split()[2] for row in rows]
    assert words == ["done", "FAILED", "done", "MISSED", "TIMEOUT", "MISSED", "done"]
    assert ["x2" in row for row in rows] == [False, False, False, True, False, False, False]
    assert rows[-1].startswith(f"{datetime.now(UTC):%Y-%m-%d} ")
    assert all("#" in row for row in rows if "MISSED" not in row)
    assert summary.startswith("every 1h: 5 runs: 3 done, 1 failed, 1 timeout; 3 missed; took ")
    found = items(ask(address, "cron", "history", name, "--json"))
    assert all(set(item) == FIELDS["run"] for item in found)
    states = [item["state"] for item in found]
    assert states == ["done", "failed", "done", "missed", "timeout", "missed", "done"]
    last = ask(address, "cron", "history", name, "-n", "2").stdout.splitlines()
    assert [row.split()[2] for row in last[1:3]] == ["MISSED", "done"]
    told = ask(address, "cron", "history", name, "--format", "{state}:{attempt}:{slots}").stdout
    assert told.split()[1:4] == ["failed:1:1", "done:2:1", "missed::2"]


def test_history_fits_into_the_terminal(jobs: Jobs, address: str) -> None:
    """As wide as that is."""
    jobs.run("job", ago=4)
    jobs.run("job", end=CronState.FAILED, code=3)
    code, output = on_a_terminal(
        address, "cron", "history", jobs.name("job"), COLUMNS="42", NO_COLOR="1"
    )
    assert (code, "#" in output, "TRY" in output) == (0, False, False)
    assert all(len(line) <= 42 for line in output.splitlines() if ":00Z" in line)
