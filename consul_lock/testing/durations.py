"""Durations as Go writes them: "15s", "1m30s", "100ms"."""

from __future__ import annotations

import json
import re
from functools import lru_cache

SECOND = 1_000_000_000

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")


@lru_cache(maxsize=256)
def parse_duration(text: str) -> int:
    """The nanoseconds of ``text``; ValueError with the words of Go's ``time.ParseDuration``."""
    quoted = json.dumps(text, ensure_ascii=False)
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total = 0
    at = 0
    while at < len(rest) or not rest:
        part = _PART.match(rest, at)
        if part is None:
            raise ValueError(f"time: invalid duration {quoted}")
        number, unit = part.groups()
        if not unit:
            raise ValueError(f"time: missing unit in duration {quoted}")
        if unit not in _UNITS:
            raise ValueError(f"time: unknown unit {json.dumps(unit)} in duration {quoted}")
        total += _scaled(number, _UNITS[unit])
        at = part.end()
    return -total if text.startswith("-") else total


def _scaled(number: str, unit: int) -> int:
    whole, _, fraction = number.partition(".")
    scaled = int(whole or "0") * unit
    return scaled + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def print_duration(nanoseconds: int) -> str:
    """``nanoseconds``, which are whole milliseconds, as Go prints a duration: 24h0m0s."""
    minutes, rest = divmod(nanoseconds, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    if not hours and not minutes and 0 < rest < SECOND:
        return f"{rest // 1_000_000}ms"
    seconds = f"{rest / SECOND:g}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds
