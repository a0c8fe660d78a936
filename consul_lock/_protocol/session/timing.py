"""What a session is asked to be, and the times that follow from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consul_lock._protocol.arguments import names, number
from consul_lock._protocol.consul.models import SessionOptions
from consul_lock.errors import ConfigError
from consul_lock.limits import (
    HEARTBEAT_MAX,
    HEARTBEAT_MIN,
    LOCK_DELAY_MAX,
    TTL_MAX,
    TTL_MIN,
    renew_interval,
    safety_margin,
    validity,
)

# How much later than others sessions are renewed under a limit of requests, if nothing is held with
# them: waiters come after holders.
_UNHELD = 1.4


def session_options(
    ttl: float = 10.0,
    lock_delay: float = 30.0,
    checks: Iterable[str] = (),
    service_checks: Iterable[str] = (),
    name: str | None = None,
    heartbeat: float | None = None,
) -> SessionOptions:
    """Checked terms.  Raises `ConfigError` naming both values of a contradiction."""
    ttl, lock_delay = number("ttl", ttl), number("lock_delay", lock_delay)
    if not TTL_MIN <= ttl <= TTL_MAX:
        raise ConfigError(
            f"ttl={ttl:g} s is out of range: Consul takes {TTL_MIN:g} to {TTL_MAX:g} s",
            kind="value",
            settings=("ttl",),
        )
    if not 0 <= lock_delay <= LOCK_DELAY_MAX:
        raise ConfigError(
            f"lock_delay={lock_delay:g} s is out of range: 0 to {LOCK_DELAY_MAX:g} s, as Consul"
            " enforces no more than that",
            kind="value",
            settings=("lock_delay",),
        )
    asked = SessionOptions(
        ttl,
        lock_delay,
        names("checks", checks),
        names("service_checks", service_checks),
        name,
        None if heartbeat is None else _heartbeat(heartbeat),
    )
    needed = 2 * renew_interval_of(asked) + safety_margin_of(asked)
    if needed > validity_of(asked):
        raise ConfigError(
            f"lock_delay={lock_delay:g} s is too short: one renewal must be able to fail, which"
            f" takes 2 x {renew_interval_of(asked):.2f} s + {safety_margin_of(asked):.2f} s ="
            f" {needed:.2f} s",
            hint="use a longer lock_delay",
            kind="contradiction",
            settings=("lock_delay",),
        )
    return asked


def _heartbeat(value: Any) -> float:
    seconds = number("heartbeat", value)
    if not HEARTBEAT_MIN <= seconds <= HEARTBEAT_MAX:
        raise ConfigError(
            f"heartbeat={seconds:g} s is out of range: {HEARTBEAT_MIN:g} to {HEARTBEAT_MAX:g} s;"
            " with less, a process that pauses for a moment loses its locks, and more is no"
            " quicker than a ttl",
            kind="value",
            settings=("heartbeat",),
        )
    return seconds


def validity_of(asked: SessionOptions) -> float:
    """`limits.validity` of these."""
    return validity(asked.ttl, asked.lock_delay)


def renew_interval_of(asked: SessionOptions) -> float:
    """`limits.renew_interval` of these."""
    return renew_interval(asked.ttl, asked.lock_delay)


def spread_renew_interval(asked: SessionOptions, random: float) -> float:
    """The same, 10 % more or less by a random number from 0 to 1: many sessions that were made
    at once, or met an outage together, do not come back together each time."""
    return renew_interval_of(asked) * (0.9 + 0.2 * random)


def stretched_renewal(asked: SessionOptions, stretch: float, *, held: bool) -> float:
    """Seconds from one renewal to the next under a limit of requests.

    With a lock-delay the TTL itself at most: Consul keeps a session for twice as long (by its word,
    at least as long), and what is promised to the holder does not depend on it.  A session with
    which nothing is ``held`` comes later, as it has less to lose.  Without a lock-delay the promise
    is built on the TTL: a third of it is left for further tries.
    """
    if not asked.lock_delay:
        return min(asked.ttl / 3 * stretch, asked.ttl * 2 / 3)
    return min(asked.ttl / 3 * stretch, asked.ttl) * (1.0 if held else _UNHELD)


def stretched_verification(asked: SessionOptions, stretch: float) -> float:
    """Seconds from one verification to the next under a limit of requests: it comes less often
    than a renewal, as it is good for longer as a rule; time is left for further tries."""
    most = validity_of(asked) * (1 / 2 if asked.lock_delay else 2 / 3)
    return min(renew_interval_of(asked) * stretch**2, most)


def renewable_for(asked: SessionOptions) -> float:
    """Seconds after a renewal in which it makes sense to renew again: as long as Consul keeps the
    session (twice its TTL, by all versions), or as the holder may believe without another one."""
    return 2 * asked.ttl if asked.lock_delay else asked.ttl - safety_margin_of(asked)


def safety_margin_of(asked: SessionOptions) -> float:
    """`limits.safety_margin` of these."""
    return safety_margin(asked.ttl, asked.lock_delay)


def renew_timeout(asked: SessionOptions) -> float:
    """Seconds that one renewal may take: a leaderless Consul holds a request for up to 7.4 s
    and then answers it well, so no more than 8; and three must fit into the span."""
    return min(validity_of(asked) / 3, 8.0)
