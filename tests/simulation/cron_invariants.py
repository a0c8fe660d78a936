"""Judges the starts of a cron job: each slot once, none while another one may be alive."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.keys import CRON_SUFFIX
from tests.simulation.common_invariants import Resource
from tests.simulation.cron_jobs import CronJobs, Start
from tests.simulation.lock_invariants import Referee
from tests.simulation.simulator import Violation

if TYPE_CHECKING:
    from tests.simulation.lock_invariants import LockSeen


class CronReferee:
    """Looks at each start."""

    def __init__(self, plan: CronPlan, counts: Counter[str]) -> None:
        self.jobs: list[CronJobs] = []
        """Those of all clients."""
        self.starts: dict[tuple[str, int], Start] = {}
        self._plan = plan
        self._counts = counts

    def begun(self, start: Start) -> None:
        """A job begins."""
        self._counts["starts"] += 1
        if start.attempt > 1:
            self._counts["attempts after the first"] += 1
        if start.attempt > 1 + max(self._plan.retry_crashed, self._plan.retry_failed):
            raise Violation(f"{start} is one attempt more than was asked for")
        what = start.slot, start.attempt
        if what in self.starts:
            raise Violation(f"{what} was begun twice: {start} and {self.starts[what]}")
        self.starts[what] = start
        if self._plan.overlap == "allow":
            return
        if start not in start.jobs.alive():
            raise Violation(f"{start} was begun without the run lock")
        if start.slot < max(slot for slot, _ in self.starts):
            raise Violation(f"{start} was begun after a later slot")
        others = [each for jobs in self.jobs for each in jobs.alive() if each != start]
        if others:
            raise Violation(f"{start} was begun while {others} may be alive")


class RunLockReferee(Referee):
    """Of a lock whose holder writes which slot it runs."""

    def rewritten(self, then: LockSeen, now: LockSeen) -> str:
        same = now.told is not None and now.told == (then.told or then.at)
        return "claimed" if same else super().rewritten(then, now)

    def keys(self) -> list[str]:
        found = super().keys()
        return [key for key in found if not key.endswith(CRON_SUFFIX)]

    def resources(self) -> list[Resource]:
        return []  # no thread asks for it
