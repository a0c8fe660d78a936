"""The series in what an exporter serves."""

from __future__ import annotations

import re
import urllib.request

from tests.cli.command import Running
from tests.support.waiting import eventually

_LINE = re.compile(r"(\w+(?:\{.*\})?) (\S+)")

# Seconds: ends a test that has failed.
_PATIENCE = 60.0


def series_of(text: str) -> dict[str, float]:
    """The value of each, by its name and labels as they are written."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = [_LINE.fullmatch(line) for line in lines]
    assert all(found), text
    pairs = [(match[1], float(match[2])) for match in found if match]
    assert len(dict(pairs)) == len(pairs), "a series that is there twice"
    return dict(pairs)


def address_of(exporter: Running) -> str:
    """Where it serves its metrics, as it says itself."""
    match = eventually(lambda: re.search(r"metrics are at (http://\S+)", exporter.errors()))
    return match[1]


def scrape(address: str) -> dict[str, float]:
    """All series of a moment."""
    with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:
        return series_of(answer.read().decode())
