"""When a cron daemon or a timer is to fire, so that no slot of a job is left out.

Starting too often does no harm: a slot is run once, and a start in a slot that is taken ends at
once.  So an interval that cannot be expressed is replaced by a shorter step that divides it.
"""

from __future__ import annotations

import re
from math import ceil, gcd
from typing import NamedTuple

from consul_lock_cli.base.durations import exact_duration
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import shown

_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# One field of a cron expression: numbers, ranges and steps; days of the week have names, too.
_PART = r"(?:\*|\d+(?:-\d+)?)(?:/\d+)?"
_FIELD = re.compile(rf"{_PART}(?:,{_PART})*")
_NAMED = re.compile(r"[A-Za-z]{3}(?:[-,][A-Za-z]{3})*")


class Steps(NamedTuple):
    """Every so many seconds, from so many seconds after the hour or the day."""

    step: int
    phase: int
    exact: bool
    """No firing finds a slot that it has seen already."""


def steps(every: float, offset: float) -> Steps:
    """The longest step that meets each slot, and that a clock face can show."""
    whole = round(every) if every == round(every) else 1
    if whole % _DAY == 0:
        step = _DAY
    elif whole % _HOUR == 0:
        step = gcd(whole, _DAY)
    elif whole % _MINUTE == 0:
        step = gcd(whole, _HOUR)
    else:
        # In a minute at most a second late, and at least one firing in each slot.
        step = gcd(whole, _MINUTE) if every < _MINUTE else _MINUTE
    # Never before the slot has begun.
    unit = _MINUTE if step >= _MINUTE else 1
    return Steps(step, ceil(offset / unit) * unit % step, step == every)


def crontab_fields(every: float, offset: float) -> str:
    """The five fields of a crontab; raises `Misuse` for what they cannot say."""
    text = exact_duration(every)
    if every < _MINUTE:
        raise Misuse(f"--every {text}: cron fires once a minute at most", "--as systemd can")
    step, phase, _ = steps(every, offset)
    if step == _DAY:
        raise Misuse(
            f"--every {text}: at which time of day should cron start it?",
            "as in --on '30 3 * * *', hours away from the beginning of a slot: 00:00 UTC plus"
            " --offset",
        )
    hour, minute = divmod(phase // _MINUTE, 60)
    if step >= _HOUR:
        return f"{minute} {_each(hour, step // _HOUR, 23)} * * *"
    return f"{_each(minute, step // _MINUTE, 59)} * * * *"


def _each(first: int, step: int, last: int) -> str:
    if step == 1:
        return "*"
    return f"{first}-{last}/{step}" if first else f"*/{step}"


def calendar(every: float, offset: float) -> str:
    """The same for a timer of systemd, which knows seconds and UTC."""
    step, phase, _ = steps(every, offset)
    hour, minute, second = phase // _HOUR, phase // _MINUTE % 60, phase % 60
    if step >= _HOUR:
        hours = f"{hour:02}" if step == _DAY else f"{hour:02}/{step // _HOUR}"
        hours = "*" if step == _HOUR else hours
        return f"*-*-* {hours}:{minute:02}:{second:02} UTC"
    if step >= _MINUTE:
        minutes = "*" if step == _MINUTE else f"{minute:02}/{step // _MINUTE}"
        return f"*-*-* *:{minutes}:{second:02} UTC"
    return f"*-*-* *:*:{'*' if step == 1 else f'{second:02}/{step}'} UTC"


def far_offset(fields: str, zone: float) -> int | None:
    """Where days should begin in UTC if a job fires at a fixed time of the day: half a day away.

    There no change of the clocks moves the firing into another day.  ``zone``: seconds that the
    host's clock is ahead of UTC.  None: there is no such time.
    """
    minute, hour, *_ = fields.split()
    if not (minute.isdecimal() and hour.isdecimal()):
        return None
    fired = int(hour) * _HOUR - zone
    return round((fired + _DAY / 2) / _HOUR) * _HOUR % _DAY


def checked(option: str, text: str) -> list[str]:
    """The five fields of an expression; raises `Misuse`."""
    fields = text.split()
    good = len(fields) == 5 and all(_FIELD.fullmatch(f) or _NAMED.fullmatch(f) for f in fields)
    if not good:
        raise Misuse(
            f'{option} "{shown(text)}" does not have the five fields of a crontab',
            "as in '30 3 * * 1-5': minute, hour, day of the month, month, day of the week",
        )
    return fields


def calendar_of(option: str, text: str, zone: str) -> str:
    """A cron expression for a timer of systemd; raises `Misuse` for what that cannot say."""
    minute, hour, day, month, weekday = checked(option, text)
    if day != "*" and weekday != "*":
        raise Misuse(
            f'{option} "{shown(text)}": cron combines the two days with or, systemd with and',
            "give two jobs, or write the timer by hand",
        )
    days = "" if weekday == "*" else f"{_weekdays(option, weekday)} "
    date = f"*-{_told(month, 1)}-{_told(day, 1)}"
    return f"{days}{date} {_told(hour, 0)}:{_told(minute, 0)}:00{zone and f' {zone}'}"


def _told(field: str, least: int) -> str:
    """A field of numbers."""
    if _NAMED.fullmatch(field):
        raise Misuse(f'"{shown(field)}": for systemd, write months as numbers')
    parts = []
    for part in field.split(","):
        values, slash, step = part.partition("/")
        first = f"{least}" if values == "*" and slash else values.replace("-", "..")
        parts.append(f"{first}{slash}{step}")
    return ",".join(parts)


def _weekdays(option: str, field: str) -> str:
    if "/" in field:
        raise Misuse(f'{option}: "{shown(field)}": for systemd, list the days of the week')
    return re.sub(r"\d", lambda found: _DAYS[int(found[0])], field).replace("-", "..")
