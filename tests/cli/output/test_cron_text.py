"""Cron jobs in a few words."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock import CronPause, CronProblem, CronRecord, CronState, cron_health
from consul_lock_cli.output import cron_text
from tests.cli.output.examples import ESCAPES, NOW, SLOT, past, record

_PAUSE = CronPause("ann@adm", NOW - 60, None, "deploy")
_BAD = CronProblem("bad", "bad/.cron", "'bad/.cron': it is no record")


@pytest.mark.parametrize(
    "seen, word",
    [
        (_BAD, "unreadable"),
        (record(), "done"),
        (record(state=CronState.FAILED), "failed"),
        (record(state=CronState.RUNNING, crashed=True), "lost"),
        (record(paused=_PAUSE), "paused"),
        (record(paused=_PAUSE, state=CronState.RUNNING), "running"),
        (record(paused=_PAUSE, state=CronState.CLAIMED), "claimed"),
        (record(paused=_PAUSE._replace(until=NOW - 1)), "done"),
        (record(paused=_PAUSE._replace(until=NOW + 1)), "paused"),
    ],
)
def test_the_state_in_one_word(seen: CronRecord | CronProblem, word: str) -> None:
    """A pause goes before the end of the last run, but not before one that is under way."""
    assert cron_text.state(seen, NOW) == word


@pytest.mark.parametrize(
    "seen, text",
    [
        (_BAD, "-"),
        (record(), "every 1h"),
        (record(offset=600.0), "every 1h + 10m"),
        (record(schedule="30 3 * * *"), "30 3 * * *"),
        (record(every=None), "IDs"),
        (record(every=None, slot=""), "-"),
    ],
)
def test_the_description_of_its_slots(seen: CronRecord | CronProblem, text: str) -> None:
    """A schedule as it was typed, a period, or names of somebody's choice."""
    assert cron_text.rhythm(seen) == text


@pytest.mark.parametrize(
    "label, epoch, now, text",
    [
        ("", SLOT, None, "2026-11-21 17:00Z"),
        ("", SLOT, NOW, "17:00Z"),
        ("", SLOT, NOW + 86400, "2026-11-21 17:00Z"),
        ("", SLOT + 7, NOW, "17:00:07Z"),
        ("v1.2", None, NOW, "v1.2"),
        ("", None, NOW, "-"),
    ],
)
def test_a_slot_is_a_time_or_an_id(
    label: str, epoch: float | None, now: float | None, text: str
) -> None:
    """Without the day if that is today's, and without seconds if there are none."""
    assert cron_text.slot(label, epoch, now) == text


@pytest.mark.parametrize(
    "epoch, now, text",
    [
        (NOW, None, "2026-11-21 17:03:15Z"),
        (NOW, NOW + 60, "17:03:15Z"),
        (1e300, NOW, "a time that no calendar has"),
    ],
)
def test_a_time_of_a_clock(epoch: float, now: float | None, text: str) -> None:
    """To the second; a record may hold any number."""
    assert cron_text.clock(epoch, now) == text


@pytest.mark.parametrize(
    "seen, text",
    [
        (record(), "exit 0 in 12s"),
        (record(exit=None), "in 12s"),
        (record(exit=3, runtime=None), "exit 3"),
        (record(exit=None, runtime=None), "-"),
        (record(state=CronState.RUNNING), "for 3m13s"),
        (record(state=CronState.CLAIMED, started_at=None), "for 3m14s"),
        (record(state=CronState.RUNNING, started_at=NOW + 9), "for 0s"),
        (record(state=CronState.RUNNING, started_at=None, claimed_at=None), "for ?"),
        (record(state=CronState.RUNNING, crashed=True, exit=None, runtime=None), "-"),
    ],
)
def test_the_outcome_of_the_last_run(seen: CronRecord, text: str) -> None:
    """Of one under way, for how long; of one whose host is dead, nothing is known."""
    assert cron_text.result(seen, NOW) == text


def test_past_and_future() -> None:
    """Now is the past."""
    assert [cron_text.ago(NOW + s, NOW) for s in (-192, 0, 60)] == [
        "3m12s ago",
        "0s ago",
        "in 1m00s",
    ]


@pytest.mark.parametrize(
    "more, text",
    [
        ({}, "by ann@adm: deploy"),
        ({"reason": ""}, "by ann@adm"),
        ({"until": NOW + 60}, "by ann@adm until 17:04:15Z: deploy"),
        ({"reason": "a long story"}, "by ann@adm: a lon..."),
        ({"by": ESCAPES, "reason": "\x1b"}, r"by web\x1b[2J\r\n\x9b1;1H\u202e3: \x1b"),
    ],
)
def test_a_pause_has_who_until_when_and_why(more: dict[str, Any], text: str) -> None:
    """Cut to the room that there is."""
    assert cron_text.pause(_PAUSE._replace(**more), NOW, 8) == text


def test_a_note_is_for_what_is_out_of_the_ordinary() -> None:
    """A pause that is not over, and a key that is no record."""
    assert cron_text.note(record(), NOW, 60) == ""
    assert cron_text.note(record(paused=_PAUSE), NOW, 60) == "paused by ann@adm: deploy"
    assert cron_text.note(record(paused=_PAUSE._replace(until=NOW - 1)), NOW, 60) == ""
    assert cron_text.note(_BAD, NOW, 60) == "it is no record"


def test_a_job_that_does_not_do_what_it_should_has_a_note() -> None:
    """Overdue by more than the usual grace, failures in a row, hosts that count differently."""
    assert cron_text.note(record(), SLOT + 3600 + 300, 60) == ""
    assert cron_text.note(record(), SLOT + 3600 + 322, 60) == "OVERDUE by 5m21s"
    bad = record(state=CronState.FAILED, history=(past(1, CronState.LOST), past(2)))
    assert cron_text.note(bad, NOW, 60) == "2 failures in a row"
    every = {"every": 600.0}
    differ = record(
        **every, history=(past(1, host="web1", every=900.0), past(2, **every))
    )  # fmt: skip
    assert cron_text.note(differ, NOW, 60) == "hosts disagree"
    runs = cron_health(differ, NOW).disagreeing
    assert cron_text.disagreement(runs) == "every 10m on web3, every 15m on web1"
    assert cron_text.disagreement(runs * 3).endswith(" and 2 more")
