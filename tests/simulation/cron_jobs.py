"""The cron jobs of one client in the simulation: it runs each slot that it wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from consul_lock._protocol import keys as names
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.cron.claim import SlotClaim
from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.guard import CronCore
from consul_lock._protocol.cron.run_lock import RunLock
from consul_lock._protocol.flow import Flow, Job, Sleep, Wall
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import ConsulLockError
from tests.simulation.flow_process import Cancelled, Process
from tests.simulation.simulator import Host

# Seconds between two looks of a job at its lock, and of a cron daemon at its clock.
_JOB_LOOKS, _DAEMON_LOOKS = 0.5, 20.0

# Seconds that a job may survive its wrapper: --kill-after, and some more.
_SURVIVES = 6.0


class Start(NamedTuple):
    """A job that was begun."""

    jobs: CronJobs
    claim: SlotClaim
    slot: str
    attempt: int
    at: float


class Line(NamedTuple):
    """One line of the crontab at work."""

    jobs: list[Job]
    """The undo, for the case that it is cut off."""
    claims: list[SlotClaim]


class CronJobs:
    """A crontab of one line, whose daemon fires when its host's clock shows the time."""

    weights: Mapping[str, int] = {}
    """It has nothing that threads have."""

    def __init__(
        self, host: Host, core: ClientCore, name: str, plan: CronPlan, work: float
    ) -> None:
        self.host = host
        self.core = core
        self.name = name
        self.plan = plan
        self.work = work
        """Seconds that its job takes."""
        self.guard = CronCore(core, name, plan)
        self.on_start: Callable[[Start], None] = lambda start: None
        self.running: dict[SlotClaim, Start] = {}
        self.ended: list[Start] = []
        """The slots that it has run to their end."""
        self.fired: list[str] = []
        self.at_work: dict[Process, Line] = {}
        """The processes under way, and the undo of each."""
        self.stopped: Callable[[], bool] = lambda: False
        """Whether it fires no more."""
        self.on_end: Callable[[], None] = lambda: None
        """Called when a line has come to its end."""

    def weights_of(self, hold: Any) -> Mapping[str, int]:
        """What a thread would have by this hold."""
        del hold
        return self.weights

    def daemon(self, slots: int) -> Flow[None]:
        """Fire so many times."""
        every = self.plan.rhythm.every
        assert every is not None
        wall = yield Wall()
        following = (wall // every + 1) * every
        while slots and not self.stopped():
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
        process = self.host.start(
            self._life(line, wall), "line", lambda _, error: self._over(process, error)
        )
        self.at_work[process] = line

    def _life(self, line: Line, wall: float) -> Flow[None]:
        lock = None
        if self.plan.overlap != "allow":
            asked = Settings(terms.session_options())
            lock = RunLock(self.core, names.keys_of_name(self.name), asked)
        claim, job = self.guard.claim(lock, wall, self)
        line.jobs.append(job)
        run = yield from job.flow
        self.host.simulator.counts[f"cron: {run.outcome.value}"] += 1
        if not run:
            return
        # As the face does: from here on, leaving the block is what cleans up.
        line.jobs[:] = [self.guard.leave(claim, run, KeyboardInterrupt())]
        line.claims.append(claim)
        start = Start(self, claim, run.slot, run.attempt, self.host.simulator.now)
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
        self.host.simulator.counts["recorded" if run.recorded else "not recorded"] += 1

    def _over(self, process: Process, error: BaseException | None) -> None:
        line = self.at_work.pop(process)
        self.on_end()
        if error is None:
            return
        if not isinstance(error, ConsulLockError | Cancelled):
            raise error
        counts = self.host.simulator.counts
        counts[type(error).__name__] += 1
        counts[f"error: {getattr(error, 'kind', 'cancelled')}"] += 1
        for claim in line.claims:
            self.running.pop(claim, None)
        for job in line.jobs:
            if job.undo is not None:
                self.host.start(job.undo(), "undo")

    def _holds(self, claim: SlotClaim) -> bool:
        hold = claim.lock.hold if claim.lock else None
        return hold is None or hold.counts(self.host.clock())

    def cut_off(self) -> None:
        """Ctrl-C, so to speak, in whatever it does."""
        for process in list(self.at_work):
            if process in self.host.processes:
                process.cancel(quietly=False)

    def alive(self) -> list[Start]:
        """The jobs of it that may be at work just now."""
        if self.host.crashed:
            survive = self.host.simulator.now < self.host.crashed_at + _SURVIVES
            return list(self.running.values()) if survive else []
        return [start for claim, start in self.running.items() if self._holds(claim)]
