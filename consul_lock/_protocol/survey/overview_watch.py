"""Watching all there is below a prefix: one overview after the other.

A server may end a blocking read with every write anywhere, where nothing is below the prefix, or
only when its time is over.  So an overview counts as new by what is in it, and whatever the server
does there is one read a second at most: what people look at needs no more.
"""

from __future__ import annotations

from functools import partial

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.consul.monotonic_reads import MonotonicReads
from consul_lock._protocol.flow import Flow, Job, Now, Sleep
from consul_lock._protocol.survey.read import Overview, overview_of
from consul_lock.errors import Unavailable

# Seconds of one blocking read; a change ends it at once.
_POLL = 10.0

# Seconds from the begin of one read to that of the next.
_EVERY = 1.0


class OverviewWatcher:
    """Sees all below a prefix, again and again.  It needs no session."""

    def __init__(
        self, client: ClientCore, prefix: str, timeout: float | None, repeat: bool = False
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._timeout = timeout
        self._repeat = repeat
        """Whether each read is shown, also one without news."""
        self._deadline: float | None = None
        self._read_at: float | None = None
        self._reads = MonotonicReads()
        self._shown: Overview | None = None

    def next(self) -> Job[Overview | None]:
        """The overview, once it is another than shown last, or has been read anew; None: time is
        over."""
        return Job(self._next())

    def _next(self) -> Flow[Overview | None]:
        patience = ErrorBudget(self._client)
        return (yield from patience.bound(self._follow(patience)))

    def _follow(self, patience: ErrorBudget) -> Flow[Overview | None]:
        while True:
            now = yield Now()
            left = self._left(now)
            if left <= 0 and self._shown is not None:
                return None
            pause = 0.0 if self._read_at is None else self._read_at + _EVERY - now
            if pause > 0:
                yield Sleep(min(pause, left), min(pause, left))
                continue
            self._read_at = now
            try:
                seen = yield from self._look(max(0.0, min(_POLL, left)))
            except Unavailable as error:
                failed: Unavailable | None = error
            else:
                failed = None
            if failed is not None:
                self._reads.index = 0
                yield from patience.ride_out(failed, self._deadline)
            elif self._repeat or seen != self._shown:
                self._shown = seen
                return seen

    def _left(self, now: float) -> float:
        """Seconds until its time is over."""
        if self._timeout is None:
            return float("inf")
        if self._deadline is None:
            self._deadline = now + self._timeout
        return self._deadline - now

    def _look(self, wait: float) -> Flow[Overview]:
        read = partial(self._client.api.list_keys, self._prefix)
        found = yield from self._reads.next(read, wait)
        return overview_of(self._prefix, found)
