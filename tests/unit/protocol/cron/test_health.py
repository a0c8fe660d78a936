"""The judgement of a cron job: whether it is overdue, how it went, whether its hosts agree."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consul_lock import (
    CronChange,
    CronHealth,
    CronPast,
    CronPause,
    CronRecord,
    CronSkip,
    CronState,
    aio,
    cron_health,
)
from consul_lock._protocol.cron.slot import YEAR_9999
from tests.cli.output.examples import HOUR, NOW, SLOT, past, record
from tests.support.effort import scaled

_NIGHTLY: dict[str, Any] = {"every": None, "schedule": "0 17 * * 1-5 Europe/Berlin"}


def overdue(hours: float, **more: Any) -> float | None:
    """In hours, so many hours after the slot of 17:00 began."""
    late = cron_health(record(claimed_at=SLOT, **more), SLOT + hours * HOUR).overdue
    return None if late is None else round(late / HOUR, 6)


def test_both_apis_have_it() -> None:
    """It is pure: one function for both."""
    assert aio.cron_health is cron_health
    assert aio.CronHealth is CronHealth


def test_a_job_is_overdue_from_the_time_of_its_next_slot_on() -> None:
    """Of an interval that is computed, if an older version wrote the record."""
    for more in ({}, {"next_slot": SLOT + HOUR}):
        assert [overdue(hours, **more) for hours in (0.5, 1.0, 1.5, 30.0)] == [0, 0, 0.5, 29.0]
    weekend = {**_NIGHTLY, "next_slot": SLOT + 72 * HOUR}
    assert [overdue(hours, **weekend) for hours in (25.0, 72.0, 73.0)] == [0, 0, 1.0]


def test_what_cannot_be_known_is_none() -> None:
    """IDs have no time, an older version says nothing of an expression, and a new job has no slot;
    0 would say that all is well."""
    ids = {"every": None, "epoch": None, "slot": "v1"}
    for more in (ids, {**ids, "every": HOUR, "next_slot": SLOT}, _NIGHTLY):
        assert overdue(99.0, **more) is None
        assert cron_health(record(**more), NOW).next_slot is None
    assert cron_health(CronRecord("new"), NOW) == CronHealth(
        None, None, None, 0, 0, None, None, None, None, (), 0.0
    )


def test_a_job_with_an_interval_is_due_when_it_is_usually_fired() -> None:
    """With `--every 1d --offset 15h` and `30 2 * * *` slots begin half a day before.  One run that
    came late does not matter, nor does a clock that was wrong; a retry is no firing."""
    half = 0.5 * HOUR
    early = [past(1, claimed_at=SLOT - HOUR + half), past(2, claimed_at=SLOT - 2 * HOUR + half)]
    job = record(claimed_at=SLOT + half, history=tuple(early))
    assert cron_health(job, SLOT + 1.75 * HOUR).overdue == pytest.approx(0.25 * HOUR)
    assert cron_health(job, SLOT + 1.75 * HOUR).next_slot == SLOT + HOUR
    wrong = record(claimed_at=SLOT + 99 * HOUR, history=tuple(early))
    assert cron_health(wrong, SLOT + 1.75 * HOUR).overdue == pytest.approx(0.25 * HOUR)
    again = record(claimed_at=SLOT + 0.9 * HOUR, attempt=2, history=(past(0), past(1)))
    assert cron_health(again, SLOT + 1.5 * HOUR).overdue == pytest.approx(half - 1)
    nightly = record(**_NIGHTLY, claimed_at=SLOT + half, next_slot=SLOT + HOUR)
    assert cron_health(nightly, SLOT + 1.5 * HOUR).overdue == pytest.approx(half)


def test_a_slot_that_waits_for_a_run_is_not_overdue() -> None:
    """Unless the run is dead, or runs need no lock: then the next one is to begin beside it."""
    running = {"state": CronState.RUNNING, "started_at": SLOT + 2}
    assert overdue(3.0, **running) == 0.0
    assert cron_health(record(**running), NOW).running_since == SLOT + 2
    assert overdue(3.0, **running, crashed=True) == 2.0
    assert cron_health(record(**running, crashed=True), NOW).running_since is None
    assert overdue(3.0, **running, session="") == 2.0
    claimed = record(state=CronState.CLAIMED, started_at=None, claimed_at=SLOT + 1)
    assert cron_health(claimed, NOW).running_since == SLOT + 1


def test_a_slot_that_hosts_skipped_on_purpose_is_not_overdue() -> None:
    """They came to it; the one after it is expected."""
    skips = tuple(
        CronSkip(f"s{hours}", SLOT + hours * HOUR, "overlap", None) for hours in (3, 2, -1)
    )  # fmt: skip
    assert [overdue(hours, skipped=skips) for hours in (4.0, 5.0)] == [0.0, 1.0]
    nightly = {**_NIGHTLY, "next_slot": SLOT + 24 * HOUR}
    told = CronSkip("s", SLOT + 24 * HOUR, "paused", SLOT + 96 * HOUR)
    assert [overdue(hours, **nightly, skipped=(told,)) for hours in (90.0, 97.0)] == [0.0, 1.0]


def test_a_paused_job_is_not_overdue_and_its_next_slot_is_after_the_pause() -> None:
    """Without an end there is none."""
    pause = CronPause("ann", SLOT + 0.5 * HOUR, SLOT + 5.5 * HOUR, "")
    assert overdue(3.0, paused=pause) is None
    seen = cron_health(record(paused=pause), SLOT + 3 * HOUR)
    assert (seen.next_slot, seen.paused) == (SLOT + 6 * HOUR, pause)
    for_ever = cron_health(record(paused=pause._replace(until=None)), SLOT + 3 * HOUR)
    assert (for_ever.next_slot, for_ever.overdue) == (None, None)


def test_after_a_pause_the_first_slot_behind_it_is_expected() -> None:
    """Of an expression nothing is known but how long the slot was: as long after the pause."""
    over = {"paused": CronPause("ann", SLOT, SLOT + 5.5 * HOUR, "")}
    resumed = {"changed": CronChange("resumed", "ann", SLOT + 5.5 * HOUR)}
    for more in (over, resumed):
        assert [overdue(hours, **more) for hours in (5.9, 7.0)] == [0.0, 1.0]
        nightly = {**_NIGHTLY, "next_slot": SLOT + 2 * HOUR}
        assert [overdue(hours, **nightly, **more) for hours in (7.4, 8.5)] == [0.0, 1.0]
        later = {**_NIGHTLY, "next_slot": SLOT + 6 * HOUR}
        assert [overdue(hours, **later, **more) for hours in (6.0, 7.0)] == [0.0, 1.0]
    ahead = {"changed": CronChange("resumed", "ann", 1e300)}
    assert overdue(9.25, **ahead) == 0.0
    assert cron_health(record(**ahead), SLOT + 9.25 * HOUR).next_slot == SLOT + 10 * HOUR


def test_a_job_that_was_reset_stays_due() -> None:
    """The record has no last slot any more, and still says when the next one is."""
    reset = CronRecord(
        "job", every=HOUR, next_slot=SLOT + HOUR, history=(past(0, claim="", claimed_at=SLOT),)
    )
    assert cron_health(reset, SLOT + 3 * HOUR).overdue == 2 * HOUR
    assert cron_health(reset, NOW).outcome is None


@pytest.mark.parametrize(
    "states, outcome, failures",
    [
        ("", None, 0),
        ("D", "done", 0),
        ("F", "failed", 1),
        ("FLTDF", "failed", 3),
        ("LD", "lost", 1),
        ("TF", "timeout", 2),
        ("RFFD", "failed", 2),  # under way: its outcome is not known
        ("CD", "done", 0),
        ("FRF", "failed", 2),  # one that began without a lock, and never came to its end
    ],
)
def test_failures_are_counted_from_the_last_slot_that_has_ended(
    states: str, outcome: str | None, failures: int
) -> None:
    """A run under way changes nothing before its end: a check must not turn good with each run."""
    known = {state.value[0].upper(): state for state in CronState}
    runs = [past(ago, known[letter]) for ago, letter in enumerate(states)]
    seen = cron_health(CronRecord("job", history=tuple(runs)), NOW)
    assert (seen.outcome and seen.outcome.value, seen.failures) == (outcome, failures)


def test_attempts_at_one_slot_count_as_one() -> None:
    """Else a job with retries would fail three times in one night."""
    bad = (past(1, CronState.FAILED, attempt=2), past(1, CronState.LOST), past(2))
    assert cron_health(record(history=bad), NOW).failures == 0
    assert cron_health(record(state=CronState.FAILED, history=bad), NOW).failures == 2
    mended = (past(1, attempt=2), past(1, CronState.FAILED))
    assert cron_health(record(state=CronState.FAILED, history=mended), NOW).failures == 1
    again = record(state=CronState.RUNNING, attempt=2, history=(past(0, CronState.FAILED), past(1)))
    assert (cron_health(again, NOW).failures, cron_health(again, NOW).outcome) == (
        0, CronState.DONE,
    )  # fmt: skip


def test_an_extra_run_that_went_well_ends_a_row_of_failures() -> None:
    """An operator has mended it; one that failed says nothing of the slots."""
    extra = past(0, claimed_at=SLOT + 60)._replace(slot="", epoch=None, attempt=0)
    failed = {"state": CronState.FAILED, "finished_at": None}
    seen = cron_health(record(**failed, history=(extra, past(1, CronState.FAILED))), NOW)
    assert (seen.outcome, seen.failures, seen.last_success) == (CronState.DONE, 0, SLOT + 66)
    tried = extra._replace(state=CronState.FAILED)
    seen = cron_health(record(**failed, history=(tried, past(1, CronState.FAILED))), NOW)
    assert (seen.outcome, seen.failures) == (CronState.FAILED, 2)
    before = extra._replace(claimed_at=SLOT - 60)
    seen = cron_health(record(**failed, history=(before, past(1, CronState.FAILED))), NOW)
    assert (seen.outcome, seen.failures) == (CronState.FAILED, 1)


def test_failures_that_an_operator_has_reset_are_forgotten() -> None:
    """They do not count any more; that it once went well is true all the same."""
    runs = (past(1, CronState.FAILED, claim=""), past(2, claim=""))
    seen = cron_health(CronRecord("job", history=runs), NOW)
    assert (seen.outcome, seen.failures) == (None, 0)
    assert seen.last_success == SLOT - 2 * HOUR + 7


def test_the_last_success_is_remembered_when_the_history_is_not() -> None:
    """The record says it; an older one has only its runs."""
    assert cron_health(record(), NOW).last_success == SLOT + 14
    failed = {"state": CronState.FAILED, "finished_at": SLOT + 14}
    assert cron_health(record(**failed), NOW).last_success is None
    assert cron_health(record(**failed, history=(past(3),)), NOW).last_success == (
        SLOT - 3 * HOUR + 7
    )  # fmt: skip
    assert cron_health(record(**failed, last_success=5.0), NOW).last_success == 5.0
    odd = (past(1, runtime=None), past(2, claimed_at=1e308, runtime=1e308))
    assert cron_health(record(**failed, history=odd), NOW).last_success is None


def _fleet(*runs: tuple[str, float | str]) -> tuple[str, ...]:
    """The hosts that disagree; the runs are by host and schedule, the latest first."""
    found = [
        past(ago, host=host, **({"schedule": s} if isinstance(s, str) else {"every": s}))
        for ago, (host, s) in enumerate(runs)
    ]
    seen = cron_health(CronRecord("job", history=tuple(found)), NOW).disagreeing
    assert all(isinstance(run, CronPast) for run in seen)
    return tuple(run.host for run in seen)


@pytest.mark.parametrize(
    "runs, hosts",
    [
        ((), ()),
        ((("a", 60.0), ("b", 60.0)), ()),
        ((("a", 60.0), ("b", 90.0), ("a", 60.0)), ("a", "b")),
        ((("b", 90.0), ("a", 60.0), ("b", 90.0)), ("b", "a")),
        ((("a", 60.0), ("b", 90.0), ("c", 60.0)), ("a", "b")),
        # A crontab that is changed, on one host after the other, or only on the first.
        ((("a", 60.0), ("b", 90.0), ("a", 90.0)), ()),
        ((("b", 60.0), ("a", 60.0), ("b", 90.0), ("a", 90.0)), ()),
        ((("a", 60.0), ("a", 90.0), ("a", 60.0)), ()),
        ((("a", "0 2 * * * UTC"), ("b", "0 2 * * * Asia/Tokyo"), ("a", "0 2 * * * UTC")),
         ("a", "b")),
        ((("a", "0 2 * * * UTC"), ("b", 86400.0), ("a", "0 2 * * * UTC")), ("a", "b")),
    ],
)  # fmt: skip
def test_hosts_disagree_if_their_schedules_are_in_use_at_the_same_time(
    runs: tuple[tuple[str, float | str], ...], hosts: tuple[str, ...]
) -> None:
    """A schedule that was changed on all hosts is no disagreement."""
    assert _fleet(*runs) == hosts


def test_what_says_nothing_of_a_schedule_is_left_out() -> None:
    """Extra runs, IDs and older versions, and runs that were reset."""
    odd = [
        past(1, host="b"),
        past(1, host="b", every=90.0, claim=""),
        past(1, host="b", every=90.0)._replace(slot=""),
        past(1, host="", every=90.0),
    ]
    for run in odd:
        runs = (past(0, every=60.0), run, past(2, every=60.0))
        assert cron_health(CronRecord("job", history=runs), NOW).disagreeing == ()


def test_a_slot_that_is_ahead_is_measured() -> None:
    """Hosts claim nothing while a record is further ahead than clocks may differ."""
    assert cron_health(record(), SLOT - 5 * HOUR).ahead == 5 * HOUR
    assert cron_health(record(), NOW).ahead == 0.0
    for early, wrong in ((0.9, False), (1.1, True)):
        assert cron_health(record(), SLOT - early * HOUR).clock_wrong is wrong


_ODD = st.floats(allow_nan=False, allow_infinity=False)
_TIMES = st.sampled_from([0.0, SLOT, NOW, SLOT + HOUR]) | _ODD
_CALENDAR = st.none() | st.floats(0, YEAR_9999 - 1)
_TEXT = st.sampled_from(["", "a", "b", "\x1b[2J|"])
_STATES = st.sampled_from(CronState)
_PASTS = st.builds(
    CronPast, st.sampled_from(["", "x", "2026-11-21T17:00:00Z"]), _CALENDAR,
    st.integers(-(2**62), 2**62), _STATES, _TEXT, _TEXT, _TIMES, st.none() | _ODD,
    st.none() | st.integers(-9, 9), st.none() | _ODD, _ODD, _TEXT, _CALENDAR,
    st.integers(-(2**62), 2**62),
)  # fmt: skip
_SKIPS = st.builds(CronSkip, _TEXT.filter(bool), _CALENDAR, _TEXT, _CALENDAR)
_RECORDS = st.builds(
    CronRecord, st.just("job"), slot=st.sampled_from(["", "x", "2026-11-21T17:00:00Z"]),
    epoch=_CALENDAR, claim=_TEXT, attempt=st.integers(-9, 9), state=_STATES, host=_TEXT,
    session=_TEXT, every=st.none() | st.just(HOUR) | _ODD, offset=_ODD, schedule=_TEXT,
    claimed_at=st.none() | _TIMES, started_at=st.none() | _TIMES, finished_at=st.none() | _TIMES,
    runtime=st.none() | _ODD, paused=st.none() | st.builds(
        CronPause, _TEXT, _TIMES, st.none() | _TIMES, _TEXT),
    history=st.lists(_PASTS, max_size=3).map(tuple),
    changed=st.none() | st.builds(
        CronChange, st.sampled_from(["resumed", "reset", "?"]), _TEXT, _TIMES),
    crashed=st.booleans(), skipped=st.lists(_SKIPS, max_size=2).map(tuple), next_slot=_CALENDAR,
    gap=st.integers(-(2**62), 2**62), last_success=st.none() | _TIMES,
)  # fmt: skip


@settings(max_examples=scaled(60))
@given(_RECORDS, st.floats(0, YEAR_9999 - 1))
def test_whatever_is_written_is_judged(seen: CronRecord, now: float) -> None:
    """Nothing is raised, and each number is one that JSON and Prometheus can have."""
    judged = cron_health(seen, now)
    numbers = [judged.next_slot, judged.due, judged.overdue, judged.last_success, judged.ahead]
    assert all(number is None or isfinite(number) for number in numbers)
    assert judged.overdue is None or judged.overdue >= 0
    assert 0 <= judged.failures <= len(seen.history) + 1
    assert judged.missed >= 0
    assert len({run.host for run in judged.disagreeing}) == len(judged.disagreeing) != 1
    assert (judged.running_since is None) or seen.shown.value in ("claimed", "running")
    json.dumps(judged.missed)
