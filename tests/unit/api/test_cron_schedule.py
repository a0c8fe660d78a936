"""Slots by a cron expression: the instants of Debian's cron, also where the clocks are changed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consul_lock import ConfigError
from consul_lock._api.cron_schedule import Schedule
from tests.support.effort import scaled

_EXPRESSIONS = (
    "*/10 * * * *",
    "30 2 * * *",
    "0 * * * *",
    "15 1,2,3 * * *",
    "0 3 * * 1-5",
    "59 23 31 12 *",
    "0 0 29 2 *",
    "7 */6 1,15 * *",
)
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")

_MOMENTS = st.floats(1.5e9, 2.2e9)

# Around the days on which some of these zones change their clocks, minute by minute.
_CHANGES = st.sampled_from([(2026, 3, 8), (2026, 3, 29), (2026, 10, 25), (2026, 11, 1)]).flatmap(
    lambda day: st.integers(-600, 1800).map(
        lambda minutes: datetime(*day, tzinfo=UTC).timestamp() + 60.0 * minutes
    )
)


def schedule(expression: str, timezone: str = "UTC", early: float | None = None) -> Schedule:
    return Schedule(expression, timezone, early)


def labels(expression: str, timezone: str, first: str, count: int) -> list[str]:
    """The slots from one on, found as each host finds them: by asking for the next instant."""
    made, moment, found = schedule(expression, timezone), _epoch(first) - 1, list[str]()
    while len(found) < count:
        following = made.around(moment).next
        assert following is not None
        found.append(made.slot(following).label.removeprefix("2026-"))
        moment = following
    return found


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# A change at a minute past midnight: backwards one finds an instant that forwards is jumped over.
_PAST_MIDNIGHT = datetime(2011, 3, 13, 4, 15, tzinfo=UTC).timestamp()


@settings(max_examples=scaled(300), deadline=None)
@example("*/30 1-3 * * *", "America/St_Johns", _PAST_MIDNIGHT)
@given(st.sampled_from(_EXPRESSIONS), st.sampled_from(_ZONES), _MOMENTS | _CHANGES)
def test_a_slot_is_the_instant_that_was_last_or_comes_at_once(
    expression: str, timezone: str, now: float
) -> None:
    """Nothing lies between it and the moment, whichever way one counts, and it is its own slot."""
    made = schedule(expression, timezone)
    around = made.around(now)
    assert around.last is not None
    assert around.next is not None
    assert around.last <= now < around.next
    slot = made.slot(now)
    assert slot.epoch in (around.last, around.next)
    assert made.slot(slot.epoch or 0.0) == slot
    assert made.around(around.last).last == around.last
    assert made.around(around.next - 0.001).last == around.last
    assert made.around(around.last - 0.001).next == around.last


@settings(max_examples=scaled(100), deadline=None)
@given(st.sampled_from(_EXPRESSIONS), st.sampled_from(_ZONES), _CHANGES, st.floats(0, 7200))
def test_labels_never_go_back(expression: str, timezone: str, now: float, later: float) -> None:
    """Not even in the hour that comes twice."""
    made = schedule(expression, timezone)
    before, after = made.slot(now).epoch, made.slot(now + later).epoch
    assert before is not None
    assert after is not None
    assert before <= after


def test_a_job_whose_time_is_skipped_in_spring_runs_right_after_the_gap() -> None:
    """Half past two does not exist on that day; the clock shows three."""
    assert labels("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", 3) == [
        "03-28T01:30:00Z",
        "03-29T01:00:00Z",
        "03-30T00:30:00Z",
    ]


def test_a_job_whose_time_comes_twice_in_autumn_runs_the_first_time() -> None:
    """Half past two, in summer time; once that day."""
    assert labels("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00Z", 3) == [
        "10-24T00:30:00Z",
        "10-25T00:30:00Z",
        "10-26T01:30:00Z",
    ]


def test_a_job_of_each_half_hour_runs_by_the_hours_that_really_pass() -> None:
    """Four times in the two hours that are both called two o'clock, none in the hour skipped."""
    assert labels("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", 5) == [
        "10-25T00:00:00Z",
        "10-25T00:30:00Z",
        "10-25T01:00:00Z",
        "10-25T01:30:00Z",
        "10-25T02:00:00Z",
    ]
    spring = labels("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30Z", 3)
    assert spring == ["03-29T00:30:00Z", "03-29T01:00:00Z", "03-29T01:30:00Z"]


@pytest.mark.parametrize("day, runs", [("2026-10-25", 25), ("2026-03-29", 23)])
def test_an_hourly_job_runs_each_hour_of_a_long_or_short_day(day: str, runs: int) -> None:
    """25 times in autumn, 23 in spring, by local midnight."""
    zone = schedule("0 * * * *", "Europe/Berlin")._zone
    begin = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = (begin + timedelta(days=1)).astimezone(UTC)
    found = labels("0 * * * *", "Europe/Berlin", begin.astimezone(UTC).isoformat(), runs + 1)
    assert [f"2026-{label}" < end.strftime("%Y-%m-%dT%H:%M:%SZ") for label in found] == [
        *[True] * runs,
        False,
    ]


def test_a_clock_that_is_a_little_behind_is_in_the_slot_that_its_daemon_fired_for() -> None:
    """A quarter of the gap, thirty seconds at most, unless it is said otherwise."""
    at = _epoch("2026-11-21T17:00Z")
    hourly, minutely = schedule("0 * * * *"), schedule("* * * * *")
    assert hourly.slot(at - 29).epoch == at
    assert hourly.slot(at - 31).epoch == at - 3600
    assert minutely.slot(at - 14).epoch == at
    assert minutely.slot(at - 16).epoch == at - 60
    assert hourly.slot(at - 30).epoch == at
    assert schedule("0 * * * *", early=0.0).slot(at - 1).epoch == at - 3600
    assert schedule("0 * * * *", early=120.0).slot(at - 120).epoch == at
    assert schedule("0 * * * *", early=120.0).slot(at - 121).epoch == at - 3600
    with pytest.raises(ConfigError, match="early=-1"):
        schedule("0 * * * *", early=-1)


@pytest.mark.parametrize(
    "expression, days",
    [
        ("0 12 13 * 5", ["11-06", "11-13", "11-20", "11-27", "12-04", "12-11", "12-13"]),
        ("0 12 */13 * 5", ["11-27", "2027-01-01", "2027-05-14", "2027-08-27", "2027-10-01"]),
        ("0 12 L * *", ["11-30", "12-31"]),
        ("0 12 29 2 *", ["2028-02-29", "2032-02-29"]),
    ],
)
def test_days_of_the_month_and_of_the_week(expression: str, days: list[str]) -> None:
    """Either will do, but if one begins with a star both must fit."""
    found = labels(expression, "UTC", "2026-11-01T00:00Z", len(days))
    assert found == [f"{day}T12:00:00Z" for day in days]


def test_the_expression_and_its_zone_are_kept_for_the_record() -> None:
    """As one text, so that two that differ in a blank are the same."""
    made = schedule("*/10  *\t* * * ", "Europe/Berlin")
    assert made.schedule == "*/10 * * * * Europe/Berlin"


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Europe", "../etc/passwd", "", "x\0", None])
def test_a_zone_that_is_unknown_is_refused(zone: Any) -> None:
    """Whatever the library that reads it makes of it."""
    with pytest.raises(ConfigError, match="timezone="):
        schedule("0 * * * *", zone)


def test_utc_needs_no_files_of_the_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small container has none."""
    ZoneInfo.clear_cache()
    monkeypatch.setattr("zoneinfo._tzpath.TZPATH", ())
    monkeypatch.setitem(sys.modules, "tzdata", None)
    with pytest.raises(ConfigError, match="timezone="):
        schedule("30 2 * * *", "Europe/Berlin")
    found = labels("30 2 * * *", "UTC", "2026-11-21T17:00Z", 2)
    assert found == ["11-22T02:30:00Z", "11-23T02:30:00Z"]


def test_a_record_may_be_ahead_by_the_next_slot() -> None:
    """A host that is fast takes it early, which is no reason for an alarm."""
    day = schedule("0 3 * * *")
    assert day.skew(day.slot(_epoch("2026-11-21T17:00Z"))) == 86400
    minute = schedule("* * * * *")
    assert minute.skew(minute.slot(_epoch("2026-11-21T17:00Z"))) == 300


def test_without_the_extra_the_error_says_what_to_install() -> None:
    """And a guard by ``every`` needs nothing of it."""
    program = (
        "import sys; sys.modules['cronsim'] = None\n"
        "from consul_lock import ConfigError, CronGuard\n"
        "CronGuard('a', every='1h')\n"
        "try: CronGuard('a', schedule='0 * * * *')\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "pip install '.[cron]'" in done.stdout


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "* * * * * *",
        "x * * * *",
        "60 * * * *",
        "0 0 31 2 *",
        "@daily",
        "*/0 * * * *",
        pytest.param(f"*/{'9' * 5000} * * * *", id="5000 digits"),
    ],
)
def test_a_schedule_that_can_never_fire_is_refused(expression: str) -> None:
    """With the expression in the message."""
    with pytest.raises(ConfigError, match="schedule="):
        schedule(expression)


@pytest.mark.parametrize("expression", ["* * * * *", "0 0 29 2 *"])
@pytest.mark.parametrize("at", [-1.0, 1e20, float("nan"), float("inf"), "x", None])
def test_a_time_that_no_calendar_has_is_refused(expression: str, at: Any) -> None:
    """A clock that was never set, or a slip of the program."""
    with pytest.raises(ConfigError, match=r"at=|slot at"):
        schedule(expression).slot(at)


def test_at_the_end_of_the_calendar_the_last_slot_is_found() -> None:
    """The next leap year is none of Python's."""
    assert schedule("0 0 29 2 *").slot(253370764799).label == "9996-02-29T00:00:00Z"


def test_slots_between_two_claims_are_counted() -> None:
    """On working days, over a weekend; not more than a thousand, as each has to be found."""
    nightly = schedule("30 2 * * 1-5", "Europe/Berlin")
    monday, friday = _epoch("2026-11-16T01:30:00Z"), _epoch("2026-11-20T01:30:00Z")
    assert nightly.following(friday) == friday + 3 * 86400
    assert nightly.between(monday, friday) == 3
    assert nightly.between(friday, friday + 3 * 86400) == 0
    assert nightly.between(friday, monday) == nightly.between(monday, monday) == 0
    assert schedule("* * * * *").between(monday, friday) == 1000


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe"])
def test_slots_are_counted_as_they_are_found(zone: str) -> None:
    """Also where the clocks are changed: no slot that would be claimed is left out."""
    hourly = schedule("0 * * * *", zone)
    start = _epoch("2026-10-24T12:00:00Z")
    at, found = start, 0
    while (following := hourly.following(at)) is not None and following < start + 2 * 86400:
        at, found = following, found + 1
    assert hourly.between(start, start + 2 * 86400) == found > 40


def test_an_expression_that_no_record_has_room_for_is_refused() -> None:
    """The history keeps one with each run; all minutes one by one are shorter by far."""
    every = ",".join(map(str, range(60)))
    assert schedule(f"{every} * * * *").schedule.startswith("0,1,2")
    with pytest.raises(ConfigError, match=r"schedule='0,0,0.*longer than 500 bytes"):
        schedule(f"{'0,' * 300}0 * * * *")
