"""The connections of a client that nobody uses just now, and how many of them stay open.

Consul serves 200 connections of one address (``limits.http_max_conns_per_client``), and refuses
the next one: by hanging up (up to 1.8), or with 429.  All processes of a host share them.  Whom
that hits should be somebody who can wait, and not the renewals of somebody who holds a lock:

* a client that holds something keeps one connection open, which renewals use again and again;
* one that only waits keeps none beside its long poll, so 100 of them and more find room;
* whose new connection is refused gives up its long polls at once, keeps none but the one of its
  renewals, and reads now and then for a while.  A waiter has to renew its session on a new
  connection every few seconds, so with 250 waiters all have made room a few seconds later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from consul_lock._drivers.jitter import between

# Seconds for which an unused connection is kept.
_IDLE = 15.0

# Seconds after which a connection that a caller used may be closed by `rest`.
_RESTLESS = 1.0

SHORT = 1.0
"""Seconds of a pause of the keeper in which it keeps its connections: with many locks the next
renewals come soon, and connecting takes longer than they do."""

# Seconds for which a connection is trusted to be alive without a look at it.
_WARM = 0.02

# Seconds without long polls after a connection was refused, and their spread.
_CROWDED = (20.0, 40.0)

# Seconds between reads while there is no place for a long poll, and their spread.
NO_PLACE = (0.75, 1.25)


POLLS = 64
"""Long polls of one client under way at once, at most."""

REQUESTS = 32
"""Other requests of one client under way at once, at most."""


class GivenUp(Exception):
    """A long poll was cut off to make room for something else."""


class Kept(Protocol):
    """A connection, as far as this module is concerned."""

    @property
    def closed(self) -> bool:
        """Whether it cannot be used any more."""

    def stale(self) -> bool:
        """Whether the other side has closed it meanwhile."""

    @property
    def surplus(self) -> bool:
        """Whether more came than the answers to what was asked: the next one would be wrong."""


C = TypeVar("C", bound=Kept)


class ConnectionPool(Generic[C]):
    """The connections, the one used last at the end.

    Every step is one call of a C function, so threads need no lock.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        discard: Callable[[C], None],
        holding: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._discard = discard
        self._holding = holding
        self._all: deque[tuple[C, float, object]] = deque()
        self._crowded_until = 0.0
        self._dropped = False

    def take(self, now: float) -> C | None:
        """One that is alive, to use it; None if there is none."""
        while True:
            try:
                connection, since, _ = self._all.pop()
            except IndexError:
                return None
            warm = now - since < _WARM
            if (
                not connection.closed
                and not connection.surplus
                and (warm or not connection.stale())
            ):
                return connection
            self._discard(connection)

    def put(self, connection: C, user: object = None) -> None:
        """It is used no more, for now."""
        now = self._clock()
        keep = now >= self._crowded_until or (self._holding() and not self._all)
        if connection.closed or connection.surplus or self._dropped or not keep:
            self._discard(connection)
            return
        self._all.append((connection, now, user))
        # The ones at this end have been idle for longest.
        while len(self._all) > 1 and now - self._all[0][1] > _IDLE:
            self._drop_oldest()

    def rest(self, user: object = None) -> None:
        """Close what is idle, but one if the client holds anything: called by the keeper before
        it waits.  What another user (thread) than it used just now is spared: the next request
        of that one may be under way."""
        now, entries = self._clock(), list(self._all)
        if self._holding():
            entries = entries[:-1]
        for entry in entries:
            connection, since, last = entry
            if last != user and now - since < _RESTLESS:
                continue
            try:
                self._all.remove(entry)
            except ValueError:
                continue  # somebody is using it
            self._discard(connection)

    def drop(self) -> None:
        """Close all, and keep none from now on: nobody can use the client any more."""
        self._dropped = True
        self.drain()

    def drain(self) -> None:
        """Close all."""
        while self._all:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        try:
            connection, _, _ = self._all.popleft()
        except IndexError:
            return
        self._discard(connection)

    @property
    def crowded(self) -> bool:
        """Whether connections were refused of late, so that there should be no long polls."""
        return self._clock() < self._crowded_until

    def refused(self) -> None:
        """A new connection was refused."""
        self._crowded_until = self._clock() + between(*_CROWDED)
