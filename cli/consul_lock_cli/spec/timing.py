"""Whether the times that the user gave leave room to stop the command in time."""

from __future__ import annotations

from consul_lock.limits import (
    LOCK_DELAY_MAX,
    TTL_MAX,
    TTL_MIN,
    renew_interval,
    safety_margin,
    validity,
)
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.errors import Misuse


def check_timing(ttl: float, lock_delay: float, kill_after: float, *, unsafe: bool = False) -> None:
    """Raise `Misuse` if a lost lock could be somebody else's before the command is dead.

    Nobody can acquire before the lock-delay is over.  In that time one renewal must be able
    to fail, and the command be stopped.  Without a lock-delay the TTL takes its place, which
    covers a lost connection but not an operator who destroys the session.  ``unsafe``: only
    what Consul would refuse is looked for.
    """
    if not TTL_MIN <= ttl <= TTL_MAX:
        raise Misuse(f"--ttl {show_duration(ttl)}: Consul takes 10s to 24h")
    if lock_delay > LOCK_DELAY_MAX:
        raise Misuse(f"--lock-delay {show_duration(lock_delay)}: Consul enforces at most 60s")
    span, name = validity(ttl, lock_delay), "--lock-delay" if lock_delay else "--ttl"
    renew, margin = renew_interval(ttl, lock_delay), safety_margin(ttl, lock_delay)
    needed = 2 * renew + kill_after + margin
    if needed > span and not unsafe:
        raise Misuse(
            f"--kill-after {show_duration(kill_after)} is too long for {name}"
            f" {show_duration(span)}: two renewals ({show_duration(2 * renew)}), kill-after and a"
            f" margin of {show_duration(margin)} take {show_duration(needed)}",
            f"use a shorter --kill-after, or a longer {name}; --unsafe-timing runs it all the same",
        )
