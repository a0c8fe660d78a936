"""A lock that was handed over, until its new holder has confirmed it.

A releaser gives the lock to the next waiter without knowing whether that is still there: a
process that was killed stays in the queue until its session ends, 20 s later, and then Consul
lets nobody lock the key for the lock-delay.  So what was handed over counts for a few seconds
only, until its new holder has confirmed it by a write of its own; and the next waiter takes over
what is not confirmed in time.  Time line, seconds:

    0.0   the holder sends a consistent read of the lock, which does not show it as its own yet
    0.6   the lock is handed to it, at the Raft index i                   (all of this is a
    0.7   the answer to that read, or to a later one, shows it: it holds   few requests, if
    0.8   the next waiter is answered that it was handed over at i         all goes well)
    2.5   the holder sends [check-index i, lock]: its confirmation
    4.0   without an answer to that, or to a consistent read, it does not hold any more
    5.3   the next waiter sends [check-index i, unlock, lock]

Both writes need the index i, so Raft carries out one of them at most.  And the first ends before
the second can begin, however slow any message was: the 4 s count from a *sending* that was
before the hand-over, the 4.5 s from an *answer* that came after it.  The half second between is
for clocks that run fast or slow.

What is no such sending: that of the read that showed it, as it may have been sent after the
hand-over; that of a plain read that did not show it, as a leader that was deposed answers those;
and the end of a blocking read, which answers with the state of a moment after its sending, that
is all.  Nothing was handed to a session before it first asked to join the queue, so that is one,
too: who did not wait for long needs no read for it.

A hold that is over before its confirmation is due costs nothing more: one write on the way from
holder to holder, as without all this.  Who cannot be stopped once it has begun, such as a
command, confirms before it begins (``watch=True``).
"""

from __future__ import annotations

from typing import NamedTuple

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.holder import parse_holder

COUNTS = 4.0
"""Seconds for which a lock counts that was handed over and is not confirmed."""

CONFIRM_AFTER = 2.5
"""Seconds of these, after which the confirmation is sent; what was noticed later is confirmed
before it counts.  More than two polls of the first waiter, and the ways of their messages."""

TAKE_OVER_AFTER = 4.5
"""Seconds after which the next waiter takes over."""

# Seconds by which confirmations begin earlier for each other one of the same client, and at most.
_EACH_OTHER = 0.05
_AHEAD_MAX = 2.0


class Unconfirmed(NamedTuple):
    """What a hold is that was handed over, and is not confirmed yet."""

    modify_index: int
    """Of the lock's key, as long as nobody has confirmed it or taken over."""
    since: float
    """What the key says about since when it is held."""
    until: float
    """Until when it counts (driver's clock)."""

    @property
    def due(self) -> float:
        """When to confirm it (driver's clock)."""
        return self.until - COUNTS + CONFIRM_AFTER


def ahead_in_a_crowd(count: int) -> float:
    """Seconds by which confirmations begin earlier where a client has so many to send.

    One request has 1.5 s, which is plenty.  Eighty that are due in the same moment, in one process
    that gets a tenth of a processor, do not all get through in that time, and a lock was lost.
    """
    return min(_AHEAD_MAX, _EACH_OTHER * max(0, count - 1))


def is_unconfirmed(pair: Pair | None) -> bool:
    """Whether a lock's key was handed to its holder, which has not confirmed it."""
    return (
        pair is not None
        and bool(pair.session)
        and not parse_holder(pair.session, pair.value).confirmed
    )
