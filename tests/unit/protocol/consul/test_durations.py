"""Durations as Go writes them."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.durations import parse_duration


@pytest.mark.parametrize(
    "text, expected",
    [("", 0), ("10s", 10), ("1m30s", 90), ("24h0m0s", 86400), ("1500ms", 1.5), ("1.5s", 1.5)],
)
def test_durations_as_go_writes_them(text: str, expected: float) -> None:
    """Consul answers with the text that it was given."""
    assert parse_duration(text) == expected
