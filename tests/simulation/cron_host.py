"""A simulated host with a crontab of one line, which may die or be cut off at any request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.flow import Identity, Request
from tests.simulation.cron_jobs import CronJobs
from tests.simulation.network_message import Letter
from tests.simulation.simulator import Host, Simulator

NAME = "jobs/nightly"


class CronHost(Host):
    """One client, and its jobs."""

    def __init__(
        self, simulator: Simulator, number: int, plan: CronPlan, rate: float, work: float
    ) -> None:
        super().__init__(simulator, number, rate)
        self.core = ClientCore(self, Identity({"host": f"h{number}", "pid": number}, f"c{number}"))
        self.jobs = CronJobs(self, self.core, NAME, plan, work)
        self.crash_before: int | None = None
        """The number of the request that it does not live to send; None: it lives."""
        self.cut_before: int | None = None
        """The number of the request at which somebody cuts it off; None: nobody does."""
        self.sent = 0

    def post(self, request: Request, answer: Callable[[Any, BaseException | None], None]) -> Letter:
        self.sent += 1
        if self.crash_before == self.sent:
            self.crash()
        if self.cut_before == self.sent:
            self.after(self.simulator.random.choice((0.0, 0.005, 0.05)), self.jobs.cut_off)
        letter = super().post(request, answer)
        if self.crashed:
            letter.reset(ghost=False)
        return letter
