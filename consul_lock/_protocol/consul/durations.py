"""Durations as Consul writes them."""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """A duration as Go writes it, such as "1m30s"; 0.0 for an empty one."""
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
