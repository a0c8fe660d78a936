"""When a cron job was fired: its slot, and whether the time of that is over.

The clock of the host is read once.  From then on the driver's clock counts: it never steps, so a
correction meanwhile makes no slot older or younger, and a time that the caller has given is as
good as one of ours.
"""

from __future__ import annotations

from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.slot import Slot
from consul_lock._protocol.flow import Flow, Now, Wall


class Firing:
    """One firing."""

    def __init__(self, plan: CronPlan) -> None:
        self._plan = plan
        self.slot = Slot("", None)
        self._at = 0.0
        """Seconds since the epoch at which it was fired, and the driver's clock then."""
        self._asked = 0.0

    def begin(self, at: float | None) -> Flow[None]:
        """It was fired at this time (seconds since the epoch; None: just now)."""
        self._at = (yield Wall()) if at is None else at
        self._asked = yield Now()
        self.slot = self._plan.rhythm.slot(self._at)

    def late(self) -> Flow[bool]:
        """Whether the slot began too long ago."""
        return (yield from self._late(0.0))

    def late_to_run(self) -> Flow[bool]:
        """The same just before it is run: the time of ``splay`` and ``standby`` was allowed."""
        return (yield from self._late(self._plan.splay + self._plan.standby))

    def _late(self, allowed: float) -> Flow[bool]:
        most, epoch = self._plan.max_lateness, self.slot.epoch
        if most is None or epoch is None:
            return False
        now = yield from self._now()
        return bool(now - epoch > most + allowed)

    def followed(self) -> Flow[bool]:
        """Whether the next slot has begun meanwhile."""
        if self.slot.epoch is None:
            return False
        now = yield from self._now()
        return bool(self._plan.rhythm.slot(now) != self.slot)

    def _now(self) -> Flow[float]:
        now = yield Now()
        return float(self._at + now - self._asked)
