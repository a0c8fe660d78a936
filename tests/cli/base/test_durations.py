"""Durations as people type them."""

from __future__ import annotations

import pytest

from consul_lock_cli.base.durations import parse_duration, show_duration


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("10", 10), ("0", 0), (".5", 0.5), ("1.5s", 1.5), ("250ms", 0.25), ("5m", 300),
        ("1h30m", 5400), ("1d", 86400), (" 3s ", 3), ("1m0.5s", 60.5),
    ],
)  # fmt: skip
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    """Bare numbers are seconds, as with timeout(1); units add up, as in Go."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "nan",
        "inf",
        "1e400",
        "1e3",
        "5 m",
        "m",
        "1x",
        "1,5",
        "1h-5m",
        "9" * 400,
        "٣",
    ],
)
def test_a_time_that_is_not_finite_is_refused(text: str) -> None:
    """Neither negative, nor NaN, nor infinite: a timer would do something else with each."""
    with pytest.raises(ValueError, match="bad duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    "seconds, text",
    [(0.0, "0s"), (0.4, "0.4s"), (41, "41s"), (192, "3m12s"), (7500, "2h05m"), (273600, "3d4h")],
)
def test_a_duration_is_shown_short(seconds: float, text: str) -> None:
    """Two units are enough for people."""
    assert show_duration(seconds) == text
