"""When a cron daemon or a timer is to fire, so that no slot is left out."""

from __future__ import annotations

import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.cron import fire_times

HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    "every, offset, fields, calendar",
    [
        (60, 0, "* * * * *", "*-*-* *:*:00 UTC"),
        (600, 0, "*/10 * * * *", "*-*-* *:00/10:00 UTC"),
        (600, 240, "4-59/10 * * * *", "*-*-* *:04/10:00 UTC"),
        (600, 241, "5-59/10 * * * *", "*-*-* *:05/10:00 UTC"),
        (HOUR, 0, "0 * * * *", "*-*-* *:00:00 UTC"),
        (HOUR, 300, "5 * * * *", "*-*-* *:05:00 UTC"),
        (6 * HOUR, 5400, "30 1-23/6 * * *", "*-*-* 01/6:30:00 UTC"),
        (6 * HOUR, 6 * HOUR - 1, "0 */6 * * *", "*-*-* 00/6:00:00 UTC"),
        # What a clock face does not show: by a step that divides it.
        (420, 0, "* * * * *", "*-*-* *:*:00 UTC"),
        (1.5 * HOUR, 0, "*/30 * * * *", "*-*-* *:00/30:00 UTC"),
        (36 * HOUR, 0, "0 */12 * * *", "*-*-* 00/12:00:00 UTC"),
        (5 * HOUR, 0, "0 * * * *", "*-*-* *:00:00 UTC"),
        (90, 0, "* * * * *", "*-*-* *:*:00 UTC"),
        (60.5, 0, "* * * * *", "*-*-* *:*:00 UTC"),
    ],
)
def test_each_slot_is_met(every: float, offset: float, fields: str, calendar: str) -> None:
    """By a crontab and a timer; never before it begins."""
    assert fire_times.crontab_fields(every, offset) == fields
    assert fire_times.calendar(every, offset) == calendar


def test_seconds_and_days_are_for_systemd() -> None:
    """A crontab has no seconds, and its days are those of the host's zone."""
    assert fire_times.calendar(30, 0) == "*-*-* *:*:00/30 UTC"
    assert fire_times.calendar(7, 0) == "*-*-* *:*:* UTC"
    assert fire_times.calendar(DAY, 1.5 * HOUR) == "*-*-* 01:30:00 UTC"
    for every, said in ((30, "once a minute at most"), (DAY, "at which time of day")):
        with pytest.raises(Misuse, match=said):
            fire_times.crontab_fields(every, 0)


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("zone", [-11, -5, 0, 1, 5.5, 13])
def test_a_day_begins_half_a_day_from_the_firing(hour: int, zone: float) -> None:
    """So a change of the clocks cannot put two firings into one day, and none into another."""
    offset = fire_times.far_offset(f"30 {hour} * * *", zone * HOUR)
    assert offset is not None
    fired = (hour + 0.5 - zone) * HOUR
    assert 10 * HOUR <= (fired - offset) % DAY <= 14 * HOUR


@pytest.mark.parametrize(
    "text, calendar",
    [
        ("30 3 * * *", "*-*-* 3:30:00"),
        ("*/5 2-4 * * 1,3", "Mon,Wed *-*-* 2..4:0/5:00"),
        ("0 0 1-7/2 */2 *", "*-1/2-1..7/2 0:0:00"),
        ("0 4 * * Mon-Fri", "Mon..Fri *-*-* 4:0:00"),
    ],
)
def test_a_cron_expression_for_a_timer(text: str, calendar: str) -> None:
    """In the words of systemd."""
    assert fire_times.calendar_of("--on", text, "") == calendar


@pytest.mark.parametrize("text", ["", "* * * *", "@daily", "0 4 1 * 1", "x * * * *", "0 4 * Jan *"])
def test_a_schedule_that_a_timer_cannot_express_is_misuse(text: str) -> None:
    """It is not guessed."""
    with pytest.raises(Misuse):
        fire_times.calendar_of("--on", text, "")
