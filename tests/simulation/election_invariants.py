"""Judges an election: a lock whose holder says something that all can see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consul_lock._protocol.election.observer import Leader
from consul_lock._protocol.flow import Request
from tests.simulation.lock_invariants import Referee
from tests.simulation.simulator import Host, Violation

if TYPE_CHECKING:
    from consul_lock._protocol.hold.hold import Hold
    from tests.simulation.lock_client import Thread
    from tests.simulation.lock_invariants import LockSeen


class ElectionReferee(Referee):
    """What candidates say begins with the number of their client."""

    def after(self, host: Host | None, request: Request | None) -> None:
        super().after(host, request)
        now = self.lock()
        owner = self.owner(now.session)
        if owner is not None and now.value.partition(".")[0] != str(owner):
            raise Violation(f"{owner} leads, and says {now.value!r}")

    def rewritten(self, then: LockSeen, now: LockSeen) -> str:
        if (same := super().rewritten(then, now)) or now.told is None:
            return same
        return "proclaimed" if now.told == (then.told or then.at) else ""

    def proclaimed(self, thread: Thread, hold: Hold, value: str) -> None:
        """A call of proclaim has returned well."""
        now = self.lock()
        # If it does not lead any more, it will hear of that.
        leads = hold.counts(thread.host.clock()) and now.session == hold.session.id
        if leads and now.value != value:
            raise Violation(f"{value!r} was proclaimed, and there is {now}")


class Observed:
    """What one observer has seen."""

    def __init__(self) -> None:
        self._last: Leader | None = None
        self._token = 0
        self.seen = 0

    def note(self, leader: Leader | None) -> None:
        """It was shown this."""
        if self.seen and leader == self._last:
            raise Violation(f"{leader} was shown twice")
        if leader is not None and leader.token < self._token:
            raise Violation(f"{leader} was shown after the token {self._token}")
        self._last, self.seen = leader, self.seen + 1
        self._token = leader.token if leader is not None else self._token
