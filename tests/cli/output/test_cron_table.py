"""Tables and descriptions of cron jobs."""

from __future__ import annotations

import click
import pytest

from consul_lock import CronChange, CronPause, CronProblem, CronRecord, CronState, Overview
from consul_lock_cli.output.cron_table import cron_table, describe, overview_table
from tests.cli.output.examples import ESCAPES, NOW, SESSION, SLOT, holder, past, record, status


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)


_PAUSE = CronPause("ann@adm", NOW - 60, None, "deploy")
_BAD = CronProblem("bad", "bad/.cron", "'bad/.cron': it is no record")


def _rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("  ") if cell]
        for line in click.unstyle(text).split("\n")
    ]


def test_a_line_for_each_job() -> None:
    """Anything unusual has a column, if there is any."""
    head, done = _rows(cron_table([record()], NOW))
    assert head == ["NAME", "STATE", "SLOTS", "LAST", "HOST", "RESULT"]
    assert done == ["backup", "done", "every 1h", "17:00Z", "web3", "exit 0 in 12s"]
    head, done, paused, bad = _rows(cron_table([record(), record(paused=_PAUSE), _BAD], NOW))
    assert (head[-1], done[-1]) == ("NOTE", "exit 0 in 12s")
    assert (paused[1], paused[-1]) == ("paused", "paused by ann@adm: deploy")
    assert bad == ["bad", "unreadable", "-", "-", "-", "-", "it is no record"]


def test_jobs_are_among_locks_by_name() -> None:
    """The lock of a run before the job of the same name; in the columns that locks have."""
    lock = status(holder())
    jobs: list[CronRecord | CronProblem] = [
        CronRecord("deploy"),
        record(),
        record(paused=_PAUSE),
        _BAD,
    ]
    head, *rows = _rows(overview_table(Overview([lock], jobs), NOW))
    assert head == ["KEY", "STATE", "MODE", "HOLDER", "SINCE", "WAITERS"]
    assert rows == [
        ["backup", "done", "every 1h", "web3 exit 0 in 12s", "slot 17:00Z", "-"],
        ["backup", "paused", "every 1h", "paused by ann@adm: deploy", "slot 17:00Z", "-"],
        ["bad", "unreadable", "-", "it is no record", "-", "-"],
        ["deploy", "held", "lock", "web3:4242 root", "3m12s", "0"],
        ["deploy", "idle", "-", "-", "-", "-"],
    ]


def _described(seen: CronRecord) -> dict[str, str]:
    title, *lines = click.unstyle(describe(seen, NOW)).split("\n")
    assert title.startswith("backup: ")
    return {"": title, **{line[2:12].strip(): line[12:].strip() for line in lines}}


def test_a_description_has_all_that_is_known() -> None:
    """Of a run that is over; what is not there is left out."""
    assert _described(record()) == {
        "": "backup: done (every 1h)",
        "slot": "2026-11-21 17:00Z, attempt 1",
        "run by": "web3 pid 4242",
        "claimed": "2026-11-21 17:00:01Z, 3m14s ago",
        "result": "done exit 0 in 12s, 3m01s ago",
        "run lock": f"session {SESSION}, token 7",
        "claim": "c1",
        "clock": "claimed 1s after the slot began, by its own clock",
        "next slot": "2026-11-21 18:00Z, begins in 56m45s",
    }
    assert _described(CronRecord("backup")) == {"": "backup: idle (-)"}


def test_a_description_has_what_operators_have_done() -> None:
    """While it is paused no slot is next."""
    change = CronChange("paused", "ann@adm", NOW - 60)
    told = _described(record(paused=_PAUSE, changed=change, overlaps=2, overlapped="17:00"))
    assert told[""] == "backup: paused (every 1h)"
    assert told["paused"] == "1m00s ago by ann@adm: deploy"
    assert told["changed"] == "2026-11-21 17:02:15Z, 1m00s ago: paused by ann@adm"
    assert told["overlaps"] == "2 skipped, as the run before was under way, the last one 17:00"
    assert "next slot" not in told


def test_a_description_counts_earlier_runs_and_says_if_a_slot_is_due() -> None:
    """The most frequent end first."""
    history = (past(1), past(2, CronState.FAILED), past(3))
    told = _described(record(history=history, epoch=SLOT - 3600))
    assert told["earlier"] == "2 done, 1 failed; 'consul-lock cron history' shows them"
    assert told["next slot"] == "2026-11-21 17:00Z, has begun 3m15s ago"


def test_a_job_that_is_overdue_is_seen_in_each_table() -> None:
    """Beside how it went last: in the notes, among locks, and in its description."""
    late = SLOT + 3600 + 722
    head, row = _rows(cron_table([record()], late))
    assert (head[-1], row[1], row[-1]) == ("NOTE", "done", "OVERDUE by 12m01s")
    _, row = _rows(overview_table(Overview([], [record()]), late))
    assert row[3] == "web3 exit 0 in 12s, OVERDUE by 12m01s"
    told = click.unstyle(describe(record(), late))
    assert "next slot  2026-11-21 18:00Z, has begun 12m02s ago: OVERDUE by 12m01s" in told
    assert "OVERDUE" not in describe(record(), SLOT + 3600 + 60)


def test_a_description_says_what_is_wrong_with_a_job() -> None:
    """How often it failed, when it last went well, what was missed, and who counts differently."""
    failed = {"state": CronState.FAILED, "every": 600.0}
    history = (
        past(1, CronState.LOST, host="web1", every=900.0), past(2, CronState.FAILED, every=600.0),
        past(3, every=600.0),
    )  # fmt: skip
    told = _described(record(**failed, history=history))
    assert told["failures"] == "3 in a row"
    assert told["succeeded"] == "2026-11-21 14:00:07Z, 3h03m ago"
    assert told["missed"] == "13; 'consul-lock cron history' shows them"
    assert told["disagree"] == "every 10m on web3, every 15m on web1"
    once = _described(record(state=CronState.FAILED, finished_at=None))
    assert once["succeeded"] == "not known"
    assert "failures" not in once


def test_a_run_that_cannot_be_alive_any_more_is_said_to_be_dead() -> None:
    """Whatever its record says; and one that needs no lock has none."""
    told = _described(record(state=CronState.RUNNING, crashed=True, finished_at=None))
    assert told[""] == "backup: lost (every 1h)"
    assert told["result"] == "running by its record, but its session is gone: it is dead"
    told = _described(record(state=CronState.RUNNING, session="", finished_at=None))
    assert (told["result"], told["run lock"]) == (
        "running for 3m13s",
        "none: overlaps are allowed",
    )
    assert "claim" not in told


@pytest.mark.parametrize(
    "claimed, clock, when",
    [
        (SLOT - 3, "claimed 3s before the slot began, by its own clock", "3m18s ago"),
        (NOW + 1, "claimed 3m16s after the slot began, by its own clock", "in 1s"),
        (NOW + 7200, "web3 is 2h00m ahead of this host: one of them is wrong", "by its clock"),
    ],
)
def test_a_clock_that_is_ahead_is_shown(claimed: float, clock: str, when: str) -> None:
    """By the record alone; a second or two may be chance."""
    told = _described(record(claimed_at=claimed))
    assert told["clock"] == clock
    assert told["claimed"].endswith(f", {when}")


def test_nothing_that_others_write_moves_the_cursor() -> None:
    """In no field of a record or of what is in its place."""
    odd = record(
        host=ESCAPES,
        claim=ESCAPES,
        session=ESCAPES,
        schedule=ESCAPES,
        overlaps=1,
        overlapped=ESCAPES,
        paused=CronPause(ESCAPES, NOW, None, ESCAPES),
        changed=CronChange(ESCAPES, ESCAPES, NOW),
    )
    bad = CronProblem(ESCAPES, "k", ESCAPES)
    texts = [describe(odd, NOW), cron_table([odd, bad], NOW)]
    texts += [overview_table(Overview([], [odd, record(host=ESCAPES), bad]), NOW)]
    for text in map(click.unstyle, texts):
        assert text.replace("\n", "").isprintable(), text
        assert r"\x1b[2J" in text
