"""docs/json.md says what --json prints: no more and no less."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from consul_lock_cli.output import cron_json, lock_json
from tests.cli.command import Running, consul, environment
from tests.cli.finished_cron_jobs import (
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import (
    Hand,
    ask,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
    items,
)
from tests.support.waiting import eventually

Start = Callable[..., Running]

PAGE = Path(__file__).parents[3] / "docs" / "json.md"


def documented() -> dict[str, set[str]]:
    """The fields of each section of the page."""
    found: dict[str, set[str]] = {}
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
            found[section] = set()
        elif line.startswith("| `"):
            found[section].update(re.findall(r"`(\w+)`", line.split("|")[1]))
    return found


FIELDS = documented()
HOLDER, LOCK = FIELDS["holder"], FIELDS["lock"]
DOCUMENT = FIELDS["document"]


def test_the_page_has_the_fields_that_templates_know() -> None:
    """One list of names for --json, for --format and for people."""
    assert set(lock_json.STATUS) == LOCK
    assert set(lock_json.HOLDER) == HOLDER
    assert set(lock_json.BREAK) == FIELDS["break"]
    assert set(lock_json.SESSION) == FIELDS["session"]
    assert set(lock_json.BROKEN) == FIELDS["broken"] | HOLDER
    assert set(lock_json.CLEANED) == FIELDS["leftover"]
    assert {"v", *lock_json.EVENT} == FIELDS["event"]
    assert set(cron_json.LISTED) == LOCK | FIELDS["listed"]
    assert set(cron_json.CRON) == FIELDS["cron"]
    assert set(cron_json.PAUSE) == FIELDS["pause"]
    assert set(cron_json.CHANGE) == FIELDS["change"]
    assert set(cron_json.CRON_RUN) == FIELDS["run"]


def _is_a_lock(item: dict[str, Any]) -> None:
    assert set(item) == LOCK
    for holder in [*item["holders"], *item["waiters"]]:
        _is_a_holder(holder)


def _is_a_holder(holder: dict[str, Any]) -> None:
    assert set(holder) == HOLDER


def test_real_outputs_have_the_documented_fields(
    holder: Running,
    start: Start,
    hand: Hand,
    address: str,
    key: str,
) -> None:
    """Of all kinds there are, with holders, waiters and the dead."""
    start("--", "true")
    eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
    dead, _ = hand.slots(f"{key}/slots", 3, 2)
    hand.destroy(dead)
    hand.put(f"{key}/plain", "x" * 300)
    listed = ask(address, "ls", f"{key}/", "--json")
    assert set(json.loads(listed.stdout)) == DOCUMENT
    kinds = {item["kind"]: item for item in items(listed)}
    assert kinds.keys() == {"lock", "semaphore", "foreign"}
    assert kinds["lock"]["waiters"]
    assert (len(kinds["foreign"]["value"]), kinds["foreign"]["size"]) == (256, 300)
    for item in items(listed):
        assert item.pop("cron") is None
        _is_a_lock(item)
    (free,) = items(ask(address, "status", f"{key}/free", "--json"))
    _is_a_lock(free)
    (waited,) = items(ask(address, "wait", key, "--held", "--json"))
    _is_a_lock(waited)
    behind = items(ask(address, "holders", f"{key}/slots", "--json"))
    assert [item["alive"] for item in behind] == [True, False]
    for item in behind:
        assert set(item) == HOLDER | FIELDS["session"]
    failed = json.loads(ask("127.0.0.1:1", "ls", "--json", CONSULLOCK_RETRY_FOR="0").stdout)
    assert set(failed) == DOCUMENT | {"error"}
    assert set(failed["error"]) == FIELDS["error"]


def test_events_and_breaking_have_the_documented_fields(
    hand: Hand,
    address: str,
    key: str,
) -> None:
    """With --initial, and without."""
    session = hand.hold(key, {"host": "web", "pid": 1})
    with ExitStack() as stack:
        watch = stack.enter_context(Running(["watch", key, "--initial"], environment(address)))
        first = json.loads(watch.line())
        (broken,) = items(ask(address, "break", key, "--yes", "--json"))
        second = json.loads(watch.line())
    assert set(broken) == FIELDS["broken"] | HOLDER
    assert broken["session"] == session
    for event in (first, second):
        assert set(event) == FIELDS["event"]
        _is_a_holder(event["holder"])
    assert [first["event"], second["event"]] == ["held", "lost"]
    assert set(second["last_break"]) == FIELDS["break"]
    assert (first["last_break"], second["last_break"]["session"]) == (None, session)


def test_cron_jobs_have_the_documented_fields(jobs: Jobs, address: str) -> None:
    """What was run, paused, missed, and what cannot be read."""
    jobs.run("job", ago=3)
    jobs.run("job")
    jobs.records.pause(jobs.name("job"), 60)
    jobs.put("bad/.cron", "hello")
    bad, job = items(ask(address, "cron", "ls", f"{jobs.below}/", "--json"))
    assert set(bad) == set(job) == FIELDS["cron"]
    known = {name for name, value in bad.items() if value is not None}
    assert known == {"name", "key", "state", "problem"}
    assert set(job["paused"]) == FIELDS["pause"]
    assert set(job["changed"]) == FIELDS["change"]
    for item in items(ask(address, "ls", f"{jobs.below}/", "--json")):
        assert set(item.pop("cron")) == FIELDS["cron"]
        _is_a_lock(item)
    runs = items(ask(address, "cron", "history", jobs.name("job"), "--json"))
    assert [run["state"] for run in runs] == ["done", "missed", "done"]
    assert all(set(run) == FIELDS["run"] for run in runs)
