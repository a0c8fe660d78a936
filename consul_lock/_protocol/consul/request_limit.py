"""What a client knows of a limit on the rate of requests, and how much less it asks because of it.

Servers of Consul 1.15 and later may limit how many reads and writes they serve a second, for all
clients together; a renewal is a write.  They refuse what is more with 429 or 503, whatever it is
for.  So clients that do not know of each other have to share what there is, and what must not be
crowded out are the renewals:

    20 holders with a TTL of 10 s, each in its own process, under 3 writes a second
    as usual       each renews every 3.3 s: 6 a second are asked for, half of them refused; what
                   is tried again soon keeps it so, and some are refused until the session expires
    under a limit  each renews every 5 to 10 s, which is 2 to 4 a second, and a session that is
                   refused tries more often the nearer its end is, but not sooner: those that
                   need it most ask most, and the others leave them room

A level says how hard the limit has been of late.  A refusal raises it by one, half a minute without
lowers it by one.  It stretches the time between renewals, and keeps a distance between the
beginnings of calls of one client, which grow much faster: waiters and newcomers lose only time.
"""

from __future__ import annotations

from consul_lock.errors import Unavailable

# The highest level, and the seconds after which it is one lower.
_LEVEL_MAX, _FALLS_IN = 4.0, 30.0

# Seconds in which several refusals count as one: a batch, or threads that ask side by side.
_TOGETHER = 1.0

# How much longer the time between renewals is for each level.
_STRETCH = 0.5

# Seconds between the beginnings of two calls at the first level; doubled for each further one.
_DISTANCE = 1.0


def is_limit(error: object) -> bool:
    """Whether an error says that there are too many requests: the server does not fail."""
    if not isinstance(error, Unavailable):
        return False
    if error.kind == "rate-limit" or error.status == 429:
        return True
    return error.status == 503 and error.retry_after is not None


class RequestLimit:
    """How hard the limit is for one client.  Times are of the driver's clock."""

    def __init__(self) -> None:
        self.known = False
        """A request was refused, and the level is not 0 again: else there is nothing to do."""
        self.renewals_wait = False
        """A renewal was refused, and none has succeeded since: everything else has to wait."""
        self._level = 0.0
        self._since = 0.0
        self._refused = float("-inf")
        self._next_call = 0.0

    def refused(self, sent: float) -> None:
        """A request that was sent then was refused."""
        level = self.level(sent)
        if sent - self._refused >= _TOGETHER:
            self._level, self._since = min(level + 1.0, _LEVEL_MAX), sent
            self._refused = sent
        self.known = True

    def level(self, now: float) -> float:
        """0: there is no limit, as far as is known."""
        level = max(0.0, self._level - (now - self._since) / _FALLS_IN)
        if not level and not self.renewals_wait:
            self.known = False
        return level

    def stretch(self, now: float) -> float:
        """How many times the usual time is to be between two renewals."""
        return 1.0 + _STRETCH * self.level(now)

    def distance(self, now: float) -> float:
        """Seconds between the beginnings of two calls; 0: none."""
        level = self.level(now)
        return float(_DISTANCE * 2.0 ** (level - 1.0)) if level else 0.0

    def before_call(self, now: float) -> float:
        """Seconds until a call may begin.  0: now, and the next one has to keep its distance."""
        if now < self._next_call:
            return self._next_call - now
        self._next_call = now + self.distance(now)
        return 0.0

    def give_way(self) -> Unavailable:
        """The answer to a request that is not even sent, as renewals are refused."""
        return Unavailable(
            "Consul limits the rate of requests, and refuses even renewals of sessions, before"
            " which nothing else is sent",
            hint="it is tried again more slowly, and fewer clients would help",
            kind="rate-limit",
            uncertain=False,
        )
