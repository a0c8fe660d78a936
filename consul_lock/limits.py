"""The limits that the library checks, and the times that follow from the ones of a session.

Each number is here once, for the library and for the command line.  Seconds, where nothing else
is said; a value at a limit is allowed.  It imports nothing.
"""

from __future__ import annotations

__all__ = [
    "CRON_TEXT_MAX",
    "EARLY_MAX",
    "EVERY_MAX",
    "EVERY_MIN",
    "HEARTBEAT_MAX",
    "HEARTBEAT_MIN",
    "HISTORY_MAX",
    "LOCK_DELAY_MAX",
    "LOCK_DELAY_MIN",
    "OVERDUE_GRACE",
    "PAUSE_MAX",
    "REASON_MAX",
    "RETRIES_MAX",
    "SCHEDULE_MAX",
    "SKEW_MIN",
    "SLOT_ID_MAX",
    "TTL_MAX",
    "TTL_MIN",
    "renew_interval",
    "safety_margin",
    "validity",
]

# -- sessions ------------------------------------------------------------------------------------

TTL_MIN, TTL_MAX = 10.0, 86400.0
"""What Consul accepts (``session_ttl_min`` of the servers may ask for more)."""

LOCK_DELAY_MIN, LOCK_DELAY_MAX = 0.3, 60.0
"""At least what leaves room for a renewal and the safety margin (0 is none, and allowed); Consul
stores more than the maximum but does not enforce it (measured)."""

HEARTBEAT_MIN, HEARTBEAT_MAX = 0.5, 60.0
"""An agent takes any length of a check (measured: 1 ns to 1000 h), so the bounds are the library's
own: below, a process that the scheduler or a garbage collector stops for a moment loses its locks;
above, a crash is noticed no sooner than by a TTL."""


def validity(ttl: float, lock_delay: float) -> float:
    """How long a proof that the session lives keeps a lock safe.

    With a lock-delay: nobody can acquire sooner than that after *any* loss of the session.
    Without: its TTL, which covers the expiry of the TTL only, not the loss of a node.
    """
    return lock_delay or ttl


def renew_interval(ttl: float, lock_delay: float) -> float:
    """Time between renewals: three chances in a TTL, six in a lock-delay."""
    return min(ttl / 3, lock_delay / 6) if lock_delay else ttl / 3


def safety_margin(ttl: float, lock_delay: float) -> float:
    """How long before anybody else can start a holder stops: clocks drift, threads are late."""
    return max(0.2, 0.05 * validity(ttl, lock_delay))


# -- cron jobs -----------------------------------------------------------------------------------

EVERY_MIN, EVERY_MAX = 1.0, 366 * 86400.0
"""Cron daemons know nothing shorter than a second, and a year is the longest rhythm."""

EARLY_MAX = 30.0
"""How far a clock may have been stepped back between the firing and the claim, by default: a
quarter of ``every``, but no more than that."""

SKEW_MIN = 300.0
"""How far the slot of a record may be ahead before a clock must be wrong, by default: ``every``,
but no less than that."""

SLOT_ID_MAX = 200
"""Bytes of the ID of a slot: the history keeps many."""

HISTORY_MAX = 200
"""Runs: with as many the record is still far below the 512 KB of a value in Consul."""

SCHEDULE_MAX = 500
"""Bytes of a cron expression with its time zone: the history keeps one with each run."""

OVERDUE_GRACE = 300.0
"""How long after a job is due it is called overdue, where nobody asks for another time: hosts
fire by clocks of their own, wait for each other, and retry while Consul elects a leader."""

RETRIES_MAX = 100
"""Further attempts at one slot."""

PAUSE_MAX = 366 * 86400.0
"""A pause that is meant to last longer has no end."""

CRON_TEXT_MAX = 500
"""Bytes, in UTF-8, of why a job is paused, and of who changed it: it is read with each record."""

# -- operators -----------------------------------------------------------------------------------

REASON_MAX = 512
"""Characters of why a hold is broken."""
