"""Which slots a job has, and the guard of the library that runs them."""

from __future__ import annotations

import os
import time
from typing import Any
from unittest.mock import patch

import pytest

from consul_lock import Client, ConfigError
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.spec.cron import CronSpec, short
from consul_lock_cli.spec.lock import LockSpec

HOUR, DAY = 3600.0, 86400.0
EIGHT = 500_000 * HOUR
"""2027-01-15 08:00:00Z."""


@pytest.mark.parametrize(
    "options, said",
    [
        ({}, "no slot: give --every, --schedule or --slot"),
        ({"every": HOUR, "slot": "x"}, "--every and --slot contradict each other"),
        ({"every": HOUR, "schedule": "@daily"}, "--every and --schedule contradict each other"),
        ({"slot": ""}, "--slot is empty"),
        ({"every": 0.0}, "--every 0s is out of range"),
        ({"every": 0.9}, "--every 0.9s is out of range"),
        ({"every": 367 * DAY}, "--every 367d0h is out of range"),
        ({"every": HOUR, "offset": HOUR}, "--offset 1h00m and --every 1h00m"),
        ({"every": HOUR, "early": HOUR}, "--early 1h00m and --every 1h00m"),
        ({"slot": "x", "offset": 1.0}, "--offset needs --every"),
        ({"every": HOUR, "timezone": "UTC"}, "--timezone needs --schedule"),
        ({"every": HOUR, "wait": 1.0}, "--wait needs --overlap wait"),
        ({"slot": "x", "early": 1.0}, "--early and --slot contradict each other"),
        ({"slot": "x", "retry_crashed": 1, "overlap": "allow"}, "--retry-crashed and --overlap"),
    ],
)
def test_options_that_contradict_each_other_are_misuse(options: dict[str, Any], said: str) -> None:
    """Both are named, with a hint."""
    with pytest.raises(Misuse) as refused:
        CronSpec(**options).check()
    assert refused.value.message.startswith(said)
    assert refused.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"every": 1.0},
        {"every": 366 * DAY},
        {"every": HOUR, "offset": HOUR - 1, "early": HOUR - 1},
        {"slot": "x", "overlap": "wait", "wait": 1.0, "retry_crashed": 1},
        {"schedule": "0 4 * * *", "timezone": "UTC", "early": 1.0},
    ],
)
def test_sensible_values_are_accepted(options: dict[str, Any]) -> None:
    """Up to the limits."""
    CronSpec(**options).check()


def _guard(**options: Any) -> Any:
    with Client("127.0.0.1:1") as client:  # nothing is sent
        return CronSpec(**options).guard(client, LockSpec(("jobs/a",)), "job", lambda reason: None)


@pytest.mark.parametrize(
    "options, slot",
    [
        ({"every": HOUR}, "2027-01-15T08:00:00Z"),
        ({"every": HOUR, "offset": 600.0}, "2027-01-15T07:10:00Z"),
        ({"slot": "x"}, "x"),
        ({"schedule": "30 2 * * *"}, "2027-01-15T02:30:00Z"),
        ({"schedule": "30 2 * * *", "timezone": "Europe/Berlin"}, "2027-01-15T01:30:00Z"),
    ],
)
def test_the_guard_has_the_slots_that_were_asked_for(options: dict[str, Any], slot: str) -> None:
    """At eight o'clock."""
    assert _guard(**options).slot(EIGHT) == slot


def test_the_long_day_of_autumn_has_25_slots() -> None:
    """The hour that comes twice on the clock on the wall is two of them."""
    midnight = 1792879200.0  # 2026-10-25 00:00 in Berlin
    guard = _guard(every=HOUR)
    try:
        with patch.dict(os.environ, TZ="Europe/Berlin"):
            time.tzset()
            slots = [guard.slot(midnight + hour * HOUR) for hour in range(25)]
            hours = [time.localtime(midnight + hour * HOUR).tm_hour for hour in range(25)]
    finally:
        time.tzset()
    assert hours == [0, 1, 2, *range(2, 24)]
    assert len(set(slots)) == 25
    assert (slots[0], slots[-1]) == ("2026-10-24T22:00:00Z", "2026-10-25T22:00:00Z")


@pytest.mark.parametrize(
    "options, said",
    [
        ({"slot": "a\nb"}, "--slot"),
        ({"slot": "x", "max_skew": 30 * DAY}, "--max-skew"),
        ({"every": HOUR, "max_lateness": -1.0}, "--max-lateness"),
    ],
)
def test_a_refusal_by_the_library_alone_is_misuse_in_words_of_the_command(
    options: dict[str, Any], said: str
) -> None:
    """An option, and not an argument of Python."""
    with pytest.raises(Misuse, match=said):
        _guard(**options)


@pytest.mark.parametrize(
    "options",
    [{"schedule": "0 0 30 2 *"}, {"schedule": "0 0 * * *", "timezone": "Mars/Base"}],
)
def test_a_schedule_that_cannot_be_is_an_error_of_the_calendar(options: dict[str, Any]) -> None:
    """It may be right on another host: no misuse, but a setting."""
    with pytest.raises(ConfigError):
        _guard(**options)


@pytest.mark.parametrize(
    "spec, slot, epoch",
    [
        (CronSpec(every=HOUR), "2027-01-15T08:00:00Z", EIGHT),
        (CronSpec(schedule="0 8 * * *"), "2027-01-15T08:00:00Z", EIGHT),
        (CronSpec(slot="2027-01-15T08:00:00Z"), "2027-01-15T08:00:00Z", None),
    ],
)
def test_the_time_of_a_slot(spec: CronSpec, slot: str, epoch: float | None) -> None:
    """An ID has none, whatever it looks like."""
    assert spec.epoch(slot) == epoch


@pytest.mark.parametrize(
    "slot, epoch, at, text",
    [
        ("2027-01-15T08:00:00Z", EIGHT, EIGHT + HOUR, "08:00Z"),
        ("2027-01-15T08:00:30Z", EIGHT + 30, EIGHT + HOUR, "08:00:30Z"),
        ("2027-01-15T08:00:00Z", EIGHT, EIGHT + DAY, "2027-01-15T08:00:00Z"),
        ("2027-01-15T23:00:00Z", EIGHT + 15 * HOUR, EIGHT + 16 * HOUR, "2027-01-15T23:00:00Z"),
        ("id\x1b:00Z", None, EIGHT, "id\\x1b:00Z"),
    ],
)
def test_a_slot_is_shown_short(slot: str, epoch: float | None, at: float, text: str) -> None:
    """Of the same day, a whole minute without its seconds; an ID is made harmless."""
    assert short(slot, epoch, at) == text
