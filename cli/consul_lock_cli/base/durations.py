"""Durations as people type them: `10`, `1.5s`, `250ms`, `5m`, `1h30m`, `1d`."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_PLAIN = re.compile(_NUMBER, re.ASCII)
_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d)", re.ASCII)
_PARTS = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d))+", re.ASCII)

# A century: nobody means more, and no clock of the system overflows.
_SECONDS_MAX = 36500 * 86400.0


def parse_duration(text: str) -> float:
    """Seconds.  A bare number is seconds.  Raises ValueError, also for what is no finite time."""
    text = text.strip()
    if _PLAIN.fullmatch(text):
        seconds = float(text)
    elif _PARTS.fullmatch(text):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    else:
        raise ValueError(f'bad duration "{text}": use 10, 1.5s, 250ms, 5m, 1h30m or 1d')
    if seconds > _SECONDS_MAX:
        raise ValueError(f'bad duration "{text}": too long')
    return seconds


def show_duration(seconds: float) -> str:
    """The other way round, for people: `0.4s`, `41s`, `3m12s`, `2h05m`, `3d4h`."""
    if seconds < 10:
        return f"{max(round(seconds, 3), 0.0):.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def exact_duration(seconds: float) -> str:
    """As somebody would type it, to the millisecond: `1h`, `10m`, `1h30m`, `500ms`."""
    rest, parts = round(seconds * 1000), []
    for unit in ("d", "h", "m", "s", "ms"):
        number, rest = divmod(rest, round(_UNITS[unit] * 1000))
        parts.append(f"{number}{unit}" if number else "")
    return "".join(parts) or "0s"
