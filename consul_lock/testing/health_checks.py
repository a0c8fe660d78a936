"""Health checks of the node, as far as sessions can be bound to them."""

from __future__ import annotations

from dataclasses import dataclass

from consul_lock.testing.sessions import SERF_HEALTH
from consul_lock.testing.virtual_time import Event

CRITICAL = "critical"
PASSING = "passing"
WARNING = "warning"
STATUSES = (PASSING, WARNING, CRITICAL)


@dataclass(slots=True)
class TtlCheck:
    """A check that turns critical ``ttl`` seconds after it was last passed."""

    id: str
    name: str
    service: str
    """Id of the service that it is of; empty: it is of the node."""
    ttl: float
    reap_after: float
    """Seconds in critical state after which its service is deregistered; 0.0: never."""
    notes: str = ""
    alone: bool = False
    """It was not registered together with a service."""
    output: str = ""
    said: str = ""
    """With the last update: repeated in the output when it expires."""
    timer: Event | None = None
    reaper: Event | None = None

    def stop(self) -> None:
        """Forget all timers."""
        for event in (self.timer, self.reaper):
            if event is not None:
                event.cancel()
        self.timer = self.reaper = None


class Checks:
    """The status of each check, and those that want to be passed."""

    def __init__(self) -> None:
        self.status = {SERF_HEALTH: PASSING}
        self.ttl: dict[str, TtlCheck] = {}
        self.services: dict[str, str] = {}
        """The name of each service, by its id."""

    def of(self, service: str) -> list[TtlCheck]:
        """The checks of a service."""
        return [check for check in self.ttl.values() if check.service == service]

    def refusal(self, wanted: list[str]) -> str | None:
        """Why a session cannot be bound to these checks; None if it can."""
        for check in wanted:
            status = self.status.get(check)
            if status is None:
                return f"Missing check '{check}' registration"
            if status == CRITICAL:
                return f"Check '{check}' is in {status} state"
        return None
