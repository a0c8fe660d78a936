"""Who was on a key, as far as the reads of an observer show it."""

from __future__ import annotations

import pytest

from tests.torture.history import Record
from tests.torture.observation import Observation, observed


def _seen(*reads: tuple[float, float, int, str]) -> Observation:
    """Reads: before, after, index and session; index 0 where there was no key."""
    records = []
    for before, after, index, session in reads:
        resources = {"a": [index, 1, {session: 1} if session else {}]} if index else {}
        fields = {"before": before, "after": after, "resources": resources}
        records.append(Record("seen", after, 1, 1, fields))
    return observed(records)


_READS = (
    (0.0, 1.0, 10, "one"),
    (2.0, 3.0, 10, "one"),
    (4.0, 8.0, 16, "two"),
    (10.0, 11.0, 0, ""),
    (12.0, 13.0, 20, "three"),
    (20.0, 21.0, 30, "five"),
    (22.0, 23.0, 31, "five"),
    (24.0, 25.0, 33, "six"),
)


@pytest.mark.parametrize(
    "session, token, begin, end, on_key",
    [
        ("one", 10, 1.5, 2.5, True),
        ("four", 11, 1.2, 1.8, False),
        # Within one read, of which nobody knows when it was made.
        ("two", 16, 5.0, 6.0, True),
        ("one", 10, 5.0, 6.0, None),
        # Between two reads, of which one found nothing: it was granted between the two others.
        ("four", 18, 9.0, 9.5, True),
        ("one", 10, 9.0, 9.5, None),
        # The reads around it found it there, but not both of those around the other time.
        ("five", 30, 21.4, 21.6, True),
        ("five", 30, 23.4, 23.6, None),
        # After all reads, and before them.
        ("four", 40, 26.0, 27.0, None),
        ("zero", 5, -2.0, -1.0, True),
    ],
)
def test_a_session_was_on_the_key_or_not_or_nobody_can_tell(
    session: str, token: int, begin: float, end: float, on_key: bool | None
) -> None:
    """By the reads at that time, or by the indexes of those around it."""
    assert _seen(*_READS).on_key("a", session, token, begin, end) is on_key
