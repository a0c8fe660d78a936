"""How long to wait for a lock, as callers say it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from consul_lock.errors import ConfigError


def waiting_time(blocking: bool, timeout: float | None) -> float | None:
    """Seconds to wait for a lock: None for ever, 0.0 not at all.  As `threading.Lock` has it."""
    if not blocking:
        if timeout is not None and timeout != -1:
            raise ConfigError(
                f"timeout={timeout!r} makes no sense with blocking=False",
                kind="contradiction",
                settings=("timeout", "blocking"),
            )
        return 0.0
    if timeout is None or timeout == -1:
        return None
    seconds = number("timeout", timeout)
    if seconds < 0:
        raise ConfigError(
            f"timeout={timeout!r} is negative",
            hint="None waits for ever",
            kind="value",
            settings=("timeout",),
        )
    return seconds


def number(what: str, value: Any) -> float:
    """A finite number, or `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise ConfigError(
            f"{what}={value!r} is not a finite number of seconds", kind="value", settings=(what,)
        )
    return float(value)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def names(what: str, value: Iterable[Any]) -> tuple[str, ...]:
    """A tuple of non-empty strings, or `ConfigError`: a lone string is a likely slip."""
    if isinstance(value, str):
        raise ConfigError(
            f"{what}={value!r} is one string",
            hint=f"give a list of names: [{value!r}]",
            kind="value",
            settings=(what,),
        )
    found = tuple(value)
    if not all(isinstance(name, str) and name for name in found):
        raise ConfigError(
            f"{what}={found!r} must be names, none of them empty", kind="value", settings=(what,)
        )
    return found


def checked(what: str, value: Any, most: int) -> int:
    """A whole number from 1 to ``most``, or `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigError(
            f"{what}={value!r} is not a whole number from 1 to {most}",
            kind="value",
            settings=(what,),
        )
    return value
