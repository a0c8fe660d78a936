"""How long to wait for a lock, as callers say it."""

from __future__ import annotations

from consul_lock._protocol.session import timing as rules
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
    seconds = rules.number("timeout", timeout)
    if seconds < 0:
        raise ConfigError(
            f"timeout={timeout!r} is negative",
            hint="None waits for ever",
            kind="value",
            settings=("timeout",),
        )
    return seconds
