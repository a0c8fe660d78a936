"""Who holds a lock, in words."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.names import shown

if TYPE_CHECKING:
    from consul_lock import Holder

# Of a semaphore with many slots, the first few are enough to ask.
_NAMED_MOST = 3


def held_by(holders: Sequence[Holder]) -> str:
    """ "held by web3 pid 4242 (root, since 2026-11-21 17:00:03Z, 3m12s)"."""
    if not holders:
        return "free, but in lock-delay or freed just now"
    if len(holders) == 1:
        return f"held by {_one(holders[0])}"
    named = ", ".join(_one(holder) for holder in holders[:_NAMED_MOST])
    more = len(holders) - _NAMED_MOST
    rest = f" and {more} more" if more > 0 else ""
    return f"held by {len(holders)}: {named}{rest}"


def when(seconds: float) -> str:
    """A moment since the epoch as RFC 3339, to the millisecond."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def _one(holder: Holder) -> str:
    if holder.foreign:
        return f"session {shown(holder.session)}"
    age = show_duration(time.time() - holder.since)
    since = datetime.fromtimestamp(holder.since, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    user = f"{shown(holder.user)}, " if holder.user else ""
    return f"{shown(holder.host)} pid {holder.pid} ({user}since {since}, {age})"


def briefly(holders: Sequence[Holder]) -> str:
    """For a line that is short: "held by web3 pid 4242 (root) for 3m12s"."""
    if not holders:
        return "free, but in lock-delay"
    first = holders[0]
    if first.foreign:
        who = f"session {shown(first.session)}"
    else:
        user = f" ({shown(first.user)})" if first.user else ""
        age = show_duration(round(max(0.0, time.time() - first.since)))
        who = f"{shown(first.host)} pid {first.pid}{user} for {age}"
    return f"held by {who}" + (f" and {len(holders) - 1} more" if len(holders) > 1 else "")


def shortly(holders: Sequence[Holder]) -> str:
    """For a line that is very short: "3m12s web3:4242"."""
    if not holders:
        return "in lock-delay"
    first = holders[0]
    if first.foreign:
        return shown(first.session)
    age = show_duration(round(max(0.0, time.time() - first.since)))
    return f"{age} {shown(first.host, 20)}:{first.pid}"


def ahead_of_us(waiters: Sequence[Holder]) -> int | None:
    """How many wait before us; None: we are in no line."""
    us = (os.uname().nodename, os.getpid())
    for place, waiter in enumerate(waiters):
        if (waiter.host, waiter.pid) == us:
            return place
    return None
