"""What ``@locked`` does while the lock is taken."""

from __future__ import annotations

from typing import Literal

from consul_lock.errors import ConfigError

OnBusy = Literal["wait", "raise", "skip"]


def waiting(on_busy: OnBusy, timeout: float | None) -> float | None:
    """Seconds to wait; None: for ever.  Raises `ConfigError` for what contradicts itself."""
    if on_busy not in ("wait", "raise", "skip"):
        raise ConfigError(f"on_busy={on_busy!r} is not one of 'wait', 'raise', 'skip'")
    if on_busy != "wait":
        return timeout or 0.0
    if timeout is not None:
        raise ConfigError(
            f"timeout={timeout!r} needs on_busy='raise' or 'skip', to say what happens after it"
        )
    return None
