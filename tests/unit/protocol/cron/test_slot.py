"""Slot labels: the same on all hosts, whatever their clocks say."""

from __future__ import annotations

from datetime import datetime
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.cron import slot as slots
from consul_lock._protocol.cron.slot import Every, Once
from consul_lock.errors import ConfigError
from consul_lock.limits import EVERY_MAX

MOMENTS = st.floats(10**6, 4 * 10**9)
LENGTHS = st.integers(1000, int(EVERY_MAX * 1000)).map(lambda ms: ms / 1000)


def epoch(rhythm: Every, now: float) -> float:
    found = rhythm.slot(now).epoch
    assert found is not None
    return found


@given(MOMENTS, LENGTHS)
def test_a_slot_holds_the_moment_it_is_asked_for(now: float, every: float) -> None:
    """Early by no more than allowed, and late by less than a slot."""
    rhythm = Every(every, 0, None)
    found = epoch(rhythm, now)
    assert -rhythm.early - 0.002 <= now - found < every + 0.002


@given(MOMENTS, LENGTHS, st.floats(-1, 1))
def test_clocks_that_differ_by_any_time_agree_if_each_fires_by_its_own(
    now: float, every: float, place: float
) -> None:
    """Where a clock says that the slot begins, or a quarter before it: the label is that slot."""
    rhythm = Every(every, 0, None)
    begins = epoch(rhythm, now)
    assert epoch(rhythm, begins + place * rhythm.early * 0.99) == begins


@given(MOMENTS, LENGTHS)
def test_slots_follow_each_other_without_a_gap(now: float, every: float) -> None:
    """One slot later is the next one, and none is the same as another."""
    rhythm = Every(every, 0, 0.0)
    first = epoch(rhythm, now)
    assert epoch(rhythm, first + every + 0.0005) == pytest.approx(first + every, abs=1e-6)
    assert rhythm.slot(first).label != rhythm.slot(first + every + 0.0005).label


@given(st.integers(10**6, 4 * 10**9), st.integers(1, 10**6), st.data())
def test_the_label_is_that_of_the_contract(now: int, every: int, data: st.DataObject) -> None:
    """floor((now - offset + early) / every) * every + offset."""
    offset = data.draw(st.integers(0, every - 1))
    early = data.draw(st.integers(0, every - 1))
    expected = floor((now - offset + early) / every) * every + offset
    assert epoch(Every(every, offset, early), now) == expected


@given(MOMENTS)
def test_a_label_is_read_as_the_time_that_it_is(now: float) -> None:
    """As an operator gives it to reset."""
    slot = slots.slot_at(round(now, 3))
    again = slots.parse_slot(slot.label)
    assert again.label == slot.label
    assert again.epoch == pytest.approx(slot.epoch, abs=0.001)


def test_a_clock_that_was_stepped_back_between_firing_and_label_is_in_the_same_slot() -> None:
    """Five seconds before five o'clock it is five o'clock already."""
    assert Every("1h", 0, None).slot(61195.0).label == "1970-01-01T17:00:00Z"


def test_a_day_with_an_offset_keeps_its_edges_away_from_the_firing() -> None:
    """A job at midnight, by any clock that is less than twelve hours off, and on both sides of a
    change to daylight saving, fires once in each slot."""
    rhythm = Every("1d", "12h", None)
    fired = [86400.0 * day + hour * 3600 for day, hour in ((10, 0), (11, -1), (12, -1), (13, 0))]
    assert [rhythm.slot(now).epoch for now in fired] == [
        86400.0 * day + 43200 for day in (9, 10, 11, 12)
    ]


def test_the_hours_of_a_long_day_are_all_slots() -> None:
    """25 of them when the clocks are put back, as the edges are in UTC."""
    begin, end = (datetime.fromisoformat(f"2026-10-25T{t}") for t in ("00:00+02:00", "23:59+01:00"))
    minutes = range(int(begin.timestamp()), int(end.timestamp()), 60)
    assert len({Every("1h", 0, 0.0).slot(now).label for now in minutes}) == 25


def test_an_id_is_a_slot_at_any_time() -> None:
    """Compared for equality only."""
    assert Once("2026-11-21").slot(0.0) == Once("2026-11-21").slot(10**9) == ("2026-11-21", None)


@pytest.mark.parametrize(
    "text, seconds",
    [("90", 90.0), ("10m", 600.0), ("1h30m", 5400.0), ("1d", 86400.0), ("1.5s", 1.5), (7, 7.0)],
)
def test_durations_are_read_as_people_write_them(text: str | float, seconds: float) -> None:
    """Numbers are seconds."""
    assert Every(text, 0, None).every == seconds


@pytest.mark.parametrize(
    "every, offset, early",
    [
        (0, 0, None),
        ("0", 0, None),
        (-60, 0, None),
        (0.5, 0, None),
        (float("nan"), 0, None),
        ("", 0, None),
        ("10x", 0, None),
        ("1h 30m", 0, None),
        ("-1h", 0, None),
        (None, 0, None),
        (True, 0, None),
        (10**9, 0, None),
        (60, 60, None),
        (60, -1, None),
        (60, 0, 60),
        (60, 0, -1),
    ],
)
def test_a_value_that_is_not_a_rhythm_is_refused(
    every: float, offset: float, early: float | None
) -> None:
    """With the value in the message."""
    with pytest.raises(ConfigError, match=r"="):
        Every(every, offset, early)


@pytest.mark.parametrize("name", ["", "a\nb", "a\x1bb", "x" * 201, None, 5])
def test_a_value_that_is_not_an_id_is_refused(name: str) -> None:
    """It is printed, and kept in a history."""
    with pytest.raises(ConfigError, match="ID"):
        Once(name)


@pytest.mark.parametrize("now", [-100.0, 1e12, float("nan")])
def test_a_clock_that_no_calendar_has_is_an_error(now: float) -> None:
    """And not a slot far away, nor a traceback."""
    with pytest.raises((ConfigError, ValueError)):
        Every(60, 0, None).slot(now)


@given(st.integers(10**6, 4 * 10**9), LENGTHS, st.integers(1, 50))
def test_the_slot_that_follows_is_the_one_that_is_claimed_next(
    now: int, every: float, count: int
) -> None:
    """To the very number, as it is compared with the time of a claim."""
    rhythm = Every(every, 0, 0.0)
    first = at = epoch(rhythm, now)
    for _ in range(count):
        following = rhythm.following(at)
        assert following == epoch(rhythm, at + every + 0.0005)
        assert following is not None
        at = following
    assert rhythm.between(first, at) == count - 1
    assert rhythm.between(at, first) == rhythm.between(at, at) == 0


def test_nothing_follows_an_id_and_the_end_of_the_calendar() -> None:
    """An ID has no time; a record could not hold a time that no calendar has."""
    assert Once("a").following(0.0) is None
    assert Once("a").between(0.0, 1e9) == 0
    assert Every(3600.0, 0, None).following(slots.YEAR_9999 - 60.0) is None
