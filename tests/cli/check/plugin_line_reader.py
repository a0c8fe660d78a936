"""The line of a plugin, read as Nagios reads it."""

from __future__ import annotations

import re

_RANGE = r"(?:-?\d+(?:\.\d+)?)?"
_NUMBER = re.compile(
    rf"'(?:[^'=|]|'')+'=(?:U|-?\d+(?:\.\d+)?)(?:s|%|B|c)?(?:;{_RANGE}){{0,4}}"
)  # fmt: skip


def read(line: str) -> tuple[str, str, list[str]]:
    """Its status, its text and its numbers, if it is such a line."""
    assert line.isprintable()
    text, pipe, numbers = line.partition(" | ")
    assert "|" not in text + numbers
    status, _, text = text.partition(" - ")
    found = numbers.split(" ") if pipe else []
    assert all(map(_NUMBER.fullmatch, found)), found
    return status, text, found
