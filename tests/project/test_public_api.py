"""The public API is what it was: names, parameters, fields, members of enums, bases.

`tests/project/public_api.txt` was written from the state before the library got its packages, by
`python -m tests.project.public_api > tests/project/public_api.txt`.  A change that is made on
purpose is written to it in the same way and reviewed as its difference; what was added since
stands in `_ADDED`.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from tests.project import public_api

_SNAPSHOT = Path(__file__).with_name("public_api.txt")

# What has come since the snapshot, as regular expressions for whole lines.
_ADDED: tuple[str, ...] = (
    # Of every error.
    r"consul_lock\.\w+\(= (problem: str \| None = None|hint: str = ''|kind: Literal\[.*)\)",
    r"consul_lock\.\w+\.(problem|hint|kind): attribute",
    # Of some.
    r"consul_lock\.ClockSkew(\(= ahead: float = 0\.0\)|\.ahead: attribute)",
    r"consul_lock\.ConfigError\(= settings: tuple\[str, \.\.\.\] = \(\)\)",
    r"consul_lock\.(ConfigError|Refused)\.settings: attribute",
    r"consul_lock\.Conflict(\(= wanted: int \| None = None\)|\.wanted: attribute)",
    r"consul_lock\.PermissionDenied\(= (rule|access|action): str = ''\)",
    r"consul_lock\.PermissionDenied\.(rule|access|action): attribute",
    r"consul_lock\.(aio\.)?Client\.reached: property, bool",
    r"consul_lock\.CronProblem\.why: property, str",
    r"consul_lock\.Pair(\(7 lock_index: int = 0\)|\.lock_index: element 6, int)",
    r"consul_lock\.Status\.conflict: .*",
    r"consul_lock\.Status\.(hidden|tree): .*",
    r"consul_lock\.Status\(.* (hidden|tree): .*",
    r"consul_lock\.Status\(.* conflict: .*",
    r"consul_lock\.(aio\.)?CronSkip.*",
    r"consul_lock\.CronRecord(\.skipped: .*|\(.* skipped: .*|\.with_skip.*)",
    # What a reader of a record needs to judge it, and the judgement.
    r"consul_lock\.CronRecord(\.|\(.* )(next_slot|gap|last_success): .*",
    r"consul_lock\.CronPast(\.|\(.* )(every|offset|schedule|next_slot|gap): .*",
    r"consul_lock\.Cron(Record|Past)\.interval: property, float \| None",
    r"consul_lock\.CronPast\.finished_at: property, float \| None",
    r"consul_lock\.(aio\.)?Cron(Gap|Health).*",
    r"consul_lock\.(aio\.)?cron_(health|timeline).*",
    r"consul_lock\.Overview(\.hidden: element 2, bool|\(3 hidden: bool = False\))",
    r"consul_lock\.(aio\.)?Survey\.overviews(: .*| -> .*|\(.*\))",
    r"consul_lock\.Holder(\.candidate: .*|\(.* candidate: .*)",
    r"consul_lock\.CronPast\.extra: property, bool",
    r"consul_lock\.CronRun\.before: attribute",
    r"consul_lock\.(aio\.)?CronRecords\.add_run(: .*| -> CronRecord|\(.*\))",
    r"consul_lock\.(aio\.)?CronRecords\.forget(: .*| -> CronRecord \| None|\(1 name: str\))",
    r"consul_lock\.config\.Config(\(20|\.)[ ]?token_file: .*",
    r"consul_lock\.LossReason\.REQUEST_LIMIT = 'request-limit'",
    r"consul_lock\.testing\.World(\(= consul: str = '1\.21'\)|\.consul: property, str)",
    r"consul_lock\.(aio\.)?\w+(\.on_key|\.from_consul)?\(= on_event: .*\)",
    r"consul_lock\.(aio\.)?Client(\.from_consul)?\(= meta: .*\)",
    r"consul_lock\.(aio\.)?Client\.(events_dropped|listener_errors): property, int",
    r"consul_lock\.events\..*",
    r"consul_lock\.Refused(\(= answer: str = ''\)|\.answer: attribute)",
)


def test_the_public_api_is_the_snapshot_and_what_was_added_on_purpose() -> None:
    """Nothing has gone or changed; each addition is listed, and each listed one is there."""
    before, today = _SNAPSHOT.read_text().splitlines(), list(public_api.lines())
    changes = list(difflib.unified_diff(before, today, "snapshot", "today", n=0, lineterm=""))
    added = set(today) - set(before)
    wanted = {line for line in added if any(re.fullmatch(rule, line) for rule in _ADDED)}
    assert not set(before) - set(today), "\n".join(changes)
    assert added == wanted, "\n".join(changes)
    unused = [rule for rule in _ADDED if not any(re.fullmatch(rule, line) for line in added)]
    assert not unused


def test_the_snapshot_names_no_private_module() -> None:
    """Those may move without a change of the API."""
    assert not re.findall(r"consul_lock\S*\._(?!_).*", _SNAPSHOT.read_text())


def test_the_snapshot_has_each_fact_once() -> None:
    """So that a set of lines is the whole comparison; a class is compared in all its parts."""
    lines = _SNAPSHOT.read_text().splitlines()
    assert len(lines) == len(set(lines)) > 1500
    for fact in (
        "consul_lock.Lock(= ttl: float = 10.0)",
        "consul_lock.aio.Lock.release: coroutine function",
        "consul_lock.LossReason.DEADLINE = 'deadline'",
        "consul_lock.LockTimeout is a TimeoutError",
        "consul_lock.CronPause.until: element 2, float | None",
        "consul_lock.Status.holders: field 6, tuple[Holder, ...]",
        "consul_lock.Lock.held: property, bool",
    ):
        assert fact in lines
