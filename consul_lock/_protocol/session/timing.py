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


def safety_margin_of(asked: SessionOptions) -> float:
    """`limits.safety_margin` of these."""
    return safety_margin(asked.ttl, asked.lock_delay)


def renew_timeout(asked: SessionOptions) -> float:
    """Seconds that one renewal may take: a leaderless Consul holds a request for up to 7.4 s
    and then answers it well, so no more than 8; and three must fit into the span."""
    return min(validity_of(asked) / 3, 8.0)
