"""Riding out errors of the server, by those who do not wait for anything else."""

from __future__ import annotations

from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Flow, Now, Sleep
from consul_lock._protocol.persist import pause
from consul_lock.errors import Unavailable

# Seconds: the least time-out of a request that is sent at all.
_LEAST = 0.5

# Seconds of a pause, at least.
_PAUSE_LEAST = 0.1


class Patience:
    """How long Consul may fail us without a break, and has."""

    def __init__(self, client: ClientCore, within: float | None = None) -> None:
        self._client = client
        self._within = within
        """Seconds from the first request, good or bad; None: ``retry_for`` from the first error."""
        self._since: float | None = None
        self._times = 0

    def left(self) -> Flow[float | None]:
        """Seconds for the next request; None: as many as any has."""
        if self._within is None:
            return None
        now = yield Now()
        if self._since is None:
            self._since = now
        return float(max(_LEAST, self._since + self._within - now))

    def ride_out(self, error: Unavailable) -> Flow[None]:
        """Pause before the next try, or raise the error if there has been enough of it."""
        now = yield Now()
        if self._since is None:
            self._since = now
        end = self._since + (self._client.retry_for if self._within is None else self._within)
        if self._client.closed or now >= end:
            raise error
        # Never less: towards the end, pauses of half of what is left would be without number.
        most = min(pause(self._times), max(end - now, _PAUSE_LEAST))
        self._times += 1
        yield Sleep(most / 2, most)

    def well(self) -> None:
        """Consul has answered."""
        self._since, self._times = None, 0
