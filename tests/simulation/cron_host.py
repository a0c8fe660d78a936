"""A host in the simulation with a crontab of one line: it runs each slot that it wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from consul_lock._protocol import keys as names
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.cron.claim import SlotClaim
from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.guard import CronCore
from consul_lock._protocol.cron.run_lock import RunLock
from consul_lock._protocol.flow import Flow, Identity, Job, Request, Sleep, Wall
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import ConsulLockError
from tests.simulation.flow_process import Cancelled, Process
from tests.simulation.network_message import Letter
from tests.simulation.simulator import Host, Simulator

NAME = "jobs/nightly"

# Seconds between two looks of a job at its lock, and of a cron daemon at its clock.
_JOB_LOOKS, _DAEMON_LOOKS = 0.5, 20.0

# Seconds that a job may survive its wrapper: --kill-after, and some more.
_SURVIVES = 6.0


class Start(NamedTuple):
    """A job that was begun."""

    host: CronHost
    claim: SlotClaim
    slot: str
    attempt: int
    at: float


class Line(NamedTuple):
    """One line of the crontab at work."""

    jobs: list[Job]
    """The undo, for the case that it is cut off."""
    claims: list[SlotClaim]


class CronHost(Host):
    """One client, and a daemon that fires when its own clock shows the time."""

    def __init__(
        self, simulator: Simulator, number: int, plan: CronPlan, rate: float, work: float
    ) -> None:
        super().__init__(simulator, number, rate)
        self.plan = plan
        self.work = work
        """Seconds that its job takes."""
        self.core = ClientCore(self, Identity({"host": f"h{number}", "pid": number}, f"c{number}"))
        self.guard = CronCore(self.core, NAME, plan)
        self.on_start: Callable[[Start], None] = lambda start: None
        self.running: dict[SlotClaim, Start] = {}
        self.ended: list[Start] = []
        """The slots that it has run to their end."""
        self.fired: list[str] = []
        self.at_work: dict[Process, Line] = {}
        """The processes under way, and the undo of each."""
        self.crashed_at: float | None = None
        self.crash_before: int | None = None
        """The number of the request that it does not live to send; None: it lives."""
        self.cut_before: int | None = None
        """The number of the request at which somebody cuts it off; None: nobody does."""
        self.sent = 0

    # -- the daemon ------------------------------------------------------------------------------

    def daemon(self, slots: int) -> Flow[None]:
        """Fire so many times."""
        every = self.plan.rhythm.every
        assert every is not None
        wall = yield Wall()
        following = (wall // every + 1) * every
        while slots:
            wall = yield Wall()
            if wall < following:
                pause = min(following - wall, _DAEMON_LOOKS)
                yield Sleep(pause, pause)
            elif wall < following + 3 * every:
                self.fire(wall)
                slots -= 1
                following += every
            else:
                following = wall // every * every
            if following - wall > 2 * every:
                following = (wall // every + 1) * every  # it was stepped back

    def fire(self, wall: float) -> None:
        """One line of the crontab, begun at this time by its clock."""
        self.fired.append(self.plan.rhythm.slot(wall).label)
        line = Line([], [])
        process = self.start(
            self._life(line, wall), "line", lambda _, error: self._over(process, error)
        )
        self.at_work[process] = line

    def _life(self, line: Line, wall: float) -> Flow[None]:
        lock = None
        if self.plan.overlap != "allow":
            asked = Settings(terms.session_options())
            lock = RunLock(self.core, names.keys_of_name(NAME), asked)
        claim, job = self.guard.claim(lock, wall, self)
        line.jobs.append(job)
        run = yield from job.flow
        self.simulator.counts[run.outcome.value] += 1
        if not run:
            return
        # As the face does: from here on, leaving the block is what cleans up.
        line.jobs[:] = [self.guard.leave(claim, run, KeyboardInterrupt())]
        line.claims.append(claim)
        start = Start(self, claim, run.slot, run.attempt, self.simulator.now)
        self.running[claim] = start
        self.on_start(start)
        left = self.work
        while left > 0 and self._holds(claim):
            yield Sleep(_JOB_LOOKS, _JOB_LOOKS)
            left -= _JOB_LOOKS
        well = left <= 0
        self.running.pop(claim)
        if well:
            self.ended.append(start)
        leaving = self.guard.leave(claim, run, None)
        line.jobs[:] = [leaving]
        yield from leaving.flow
        line.jobs.clear()
        self.simulator.counts["recorded" if run.recorded else "not recorded"] += 1

    def _over(self, process: Process, error: BaseException | None) -> None:
        line = self.at_work.pop(process)
        if error is None:
            return
        if not isinstance(error, ConsulLockError | Cancelled):
            raise error
        self.simulator.counts[type(error).__name__] += 1
        for claim in line.claims:
            self.running.pop(claim, None)
        for job in line.jobs:
            if job.undo is not None:
                self.start(job.undo(), "undo")

    def _holds(self, claim: SlotClaim) -> bool:
        hold = claim.lock.hold if claim.lock else None
        return hold is None or hold.counts(self.clock())

    # -- what may befall it ----------------------------------------------------------------------

    def post(self, request: Request, answer: Callable[[Any, BaseException | None], None]) -> Letter:
        self.sent += 1
        if self.crash_before == self.sent:
            self.crash()
        if self.cut_before == self.sent:
            self.after(self.simulator.random.choice((0.0, 0.005, 0.05)), self.cut_off)
        letter = super().post(request, answer)
        if self.crashed:
            letter.reset(ghost=False)
        return letter

    def crash(self) -> None:
        """Nothing of it ever moves again; its job lives for some seconds more."""
        if not self.crashed:
            self.crashed, self.crashed_at = True, self.simulator.now

    def cut_off(self) -> None:
        """Ctrl-C, so to speak, in whatever it does."""
        for process in list(self.at_work):
            if process in self.processes:
                process.cancel(quietly=False)

    def alive(self) -> list[Start]:
        """The jobs of it that may be at work just now."""
        if self.crashed_at is not None:
            return list(self.running.values()) if self._survives() else []
        return [start for claim, start in self.running.items() if self._holds(claim)]

    def _survives(self) -> bool:
        assert self.crashed_at is not None
        return self.simulator.now < self.crashed_at + _SURVIVES
