"""JSON about cron jobs: the fields of docs/json.md, no more and no less."""

from __future__ import annotations

import pytest

from consul_lock import CronChange, CronGap, CronPause, CronProblem, CronRecord, CronState
from consul_lock_cli.output import cron_json
from tests.cli.output.examples import NOW, SLOT, past, record
from tests.cli.output.json_page import FIELDS, LISTED

_PAUSE = CronPause("ann@adm", NOW - 60, NOW + 60, "deploy")
_BAD = CronProblem("bad", "bad/.cron", "it is no record")


def test_templates_know_the_fields_of_the_page() -> None:
    """One list of names for --json, for --format and for people."""
    assert set(cron_json.LISTED) == LISTED
    assert set(cron_json.CRON) == FIELDS["cron"]
    assert set(cron_json.PAUSE) == FIELDS["pause"]
    assert set(cron_json.CHANGE) == FIELDS["change"]
    assert set(cron_json.CRON_RUN) == FIELDS["run"]
    assert set(cron_json.DISAGREE) == FIELDS["schedule"]


@pytest.mark.parametrize(
    "seen",
    [
        record(),
        CronRecord("idle"),
        _BAD,
        record(paused=_PAUSE, changed=CronChange("paused", "ann", NOW)),
    ],
)
def test_every_job_has_the_documented_fields(seen: CronRecord | CronProblem) -> None:
    """Alone, and among all that `ls` lists, where it has no holders of its own."""
    item = cron_json.cron_item(seen, NOW)
    assert set(item) == FIELDS["cron"]
    assert item["paused"] is None or set(item["paused"]) == FIELDS["pause"]
    assert item["changed"] is None or set(item["changed"]) == FIELDS["change"]
    listed = cron_json.listed_item(seen, NOW)
    assert set(listed) == LISTED
    assert (listed["kind"], listed["cron"], listed["holders"], listed["waiters"]) == (
        "cron", item, [], [],
    )  # fmt: skip
    for name in ("name", "key", "state", "index", "problem"):
        assert listed[name] == item[name]


def test_of_what_is_no_record_only_that_is_known() -> None:
    """And where it is."""
    item = cron_json.cron_item(_BAD, NOW)
    assert {name: value for name, value in item.items() if value is not None} == {
        "name": "bad",
        "key": "bad/.cron",
        "state": "unreadable",
        "problem": "it is no record",
    }


def test_unknown_fields_are_null() -> None:
    """Not an empty text, nor 0; but 0 overlaps are a number."""
    item = cron_json.cron_item(CronRecord("idle"), NOW)
    known = {name: value for name, value in item.items() if value is not None}
    assert known == {
        "name": "idle", "key": "idle/.cron", "state": "idle", "offset": 0.0, "attempt": 0,
        "overlaps": 0, "missed": 0, "failures": 0, "disagree": [],
    }  # fmt: skip
    silent = record(paused=CronPause("", NOW, None, ""), changed=CronChange("reset", "", NOW))
    item = cron_json.cron_item(silent, NOW)
    assert (item["paused"]["by"], item["paused"]["reason"], item["changed"]["by"]) == (None,) * 3
    assert cron_json.run_item(past(1, host="", claim=""))["host"] is None


def test_times_are_for_people_and_for_programs() -> None:
    """A time that no calendar has is none."""
    item = cron_json.cron_item(record(claimed_at=1e300), NOW)
    assert (item["started_at"], item["started_at_epoch"]) == ("2026-11-21T17:00:02.000Z", SLOT + 2)
    assert item["claimed_at"] is item["claimed_at_epoch"] is None


def test_a_pause_that_is_over_is_none() -> None:
    """By the clock of who asks; and a run of a dead host is lost."""
    assert cron_json.cron_item(record(paused=_PAUSE), NOW)["paused"]["until_epoch"] == NOW + 60
    assert cron_json.cron_item(record(paused=_PAUSE), NOW + 61)["paused"] is None
    dead = record(state=CronState.RUNNING, crashed=True)
    assert cron_json.cron_item(dead, NOW)["state"] == "lost"


def test_the_health_of_a_job_is_in_it() -> None:
    """As `cron_health` judges it at this moment."""
    history = (past(1, CronState.LOST, host="web1", every=900.0), past(4))
    item = cron_json.cron_item(
        record(state=CronState.FAILED, history=history, next_slot=SLOT + 3600), SLOT + 2.5 * 3600
    )
    assert (item["next_slot"], item["next_slot_epoch"]) == ("2026-11-21T18:00:00Z", SLOT + 3600)
    assert (item["overdue"], item["missed"], item["failures"]) == (5399.0, 2 + 3 + 1, 2)
    assert item["last_success"] == "2026-11-21T13:00:07.000Z"
    assert item["last_success_epoch"] == SLOT - 4 * 3600 + 7
    assert (item["running_since"], item["disagree"]) == (None, [])
    running = record(state=CronState.RUNNING, every=900.0, history=(
        past(1, host="web1", every=3600.0), past(2, every=900.0)))  # fmt: skip
    item = cron_json.cron_item(running, NOW)
    assert (item["running_since_epoch"], item["overdue"]) == (SLOT + 2, 0.0)
    assert [(each["host"], each["every"]) for each in item["disagree"]] == [
        ("web3", 900.0), ("web1", 3600.0),
    ]  # fmt: skip
    assert all(set(each) == FIELDS["schedule"] for each in item["disagree"])


def test_a_run_counts_for_one_slot_and_a_gap_for_many() -> None:
    """One that was reset is marked, as it does not count any more."""
    run = cron_json.run_item(past(1, CronState.FAILED, exit=3))
    gap = cron_json.run_item(CronGap(SLOT, 4))
    assert set(run) == set(gap) == FIELDS["run"]
    assert (run["state"], run["slots"], run["exit"], run["forgotten"]) == ("failed", 1, 3, False)
    assert {name: value for name, value in gap.items() if value is not None} == {
        "slot": "2026-11-21T17:00:00Z", "slot_epoch": SLOT, "state": "missed", "slots": 4,
    }  # fmt: skip
    assert cron_json.run_item(past(1, claim=""))["forgotten"] is True
