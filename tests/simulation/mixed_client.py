"""What clients of a mixed run do beside their locks: they lead, observe, and have a crontab."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any

from consul_lock._protocol import keys as names
from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.slot import Every
from consul_lock._protocol.election.election import ElectionCore
from consul_lock._protocol.election.observer import Observer
from consul_lock._protocol.flow import Flow, Job
from consul_lock.errors import ConsulLockError
from tests.simulation.cron_invariants import CronReferee
from tests.simulation.cron_jobs import CronJobs
from tests.simulation.election_invariants import ElectionReferee, Observed
from tests.simulation.flow_process import Cancelled
from tests.simulation.lock_client import Contender, Thread, Wish, Wishes

LEADER, CRON = "jobs/leader", "jobs/cron"

# Seconds between two slots of the cron job, and how many a run of average length has.
_EVERY, _SLOTS = 15.0, 4


def cron_plan(seed: int) -> CronPlan:
    """How the cron job of a run is to be run."""
    return CronPlan(
        Every(_EVERY, 0, None),
        overlap=("skip", "wait")[seed // 4 % 2],
        wait=20.0,
        retry_crashed=seed // 8 % 2,
        standby=(0.0, 20.0)[seed // 16 % 2],
    )


def candidates(contender: Contender, referee: ElectionReferee) -> Wishes:
    """To lead, each thread with an object of its own, and to proclaim something else then."""
    cores: dict[Thread, ElectionCore] = {}
    said = 0

    def proclaim(core: ElectionCore, owner: Thread) -> Job:
        nonlocal said
        said += 1
        value = f"{contender.number}.{owner.place}.{said}"
        hold = core.current(owner)
        job = core.proclaim(value, contender.clock(), owner)

        def flow() -> Flow[None]:
            yield from job.flow
            if hold is not None:
                referee.proclaimed(owner, hold, value)

        return Job(flow(), job.undo, job.limit)

    def wish(thread: Thread, turn: int) -> Wish:
        del turn
        if thread not in cores:
            settings = contender.settings._replace(watch=True)
            cores[thread] = ElectionCore(contender.core, names.keys_of_name(LEADER), settings)
        core = cores[thread]
        campaign = partial(core.campaign, f"{contender.number}.{thread.place}")
        return Wish(core, 1, {LEADER: 1}, ask=partial(proclaim, core), campaign=campaign)

    return wish


def _nothing(thread: Thread, turn: int) -> Wish:
    raise AssertionError(f"{thread} wants nothing, not even in its turn {turn}")


def _undo_nothing() -> Flow[None]:
    yield from ()


class Spectator(Thread):
    """Observes the election for as long as its client lives."""

    def __init__(self, host: Contender) -> None:
        super().__init__(host, _nothing, 0, 0)
        self.rested = self.done = True
        self.observed = Observed()

    def _life(self) -> Generator[Any, Any, None]:
        observer = Observer(self.host.core, names.keys_of_name(LEADER).key)
        while not self.host.closed:
            try:
                # As a call, so that it ends with its client.
                leader = yield Job(observer.next().flow, _undo_nothing)
            except (ConsulLockError, Cancelled):
                continue
            self.observed.note(leader)
            self.host.simulator.counts["leaders observed"] += 1


class CronDaemon(Thread):
    """Fires the slots of the cron job, until all is well again."""

    def __init__(self, host: Contender, referee: CronReferee, plan: CronPlan) -> None:
        super().__init__(host, _nothing, 0, 0)
        random = host.simulator.random
        host.skew = random.uniform(-2.0, 2.0)
        self.jobs = CronJobs(host, host.core, CRON, plan, random.choice((0.5, 5.0)))
        self.jobs.on_start, self.jobs.on_end = referee.begun, self._see
        self.jobs.stopped = lambda: self.weather.is_set() or host.closed
        referee.jobs.append(self.jobs)

    def begin(self) -> None:
        self.host.start(self.jobs.daemon(_SLOTS), "cron daemon", lambda *_: self._fired())

    def _fired(self) -> None:
        self.rested = True
        self._see()

    def _see(self) -> None:
        self.done = self.rested and not self.jobs.at_work

    def cancel(self, *, quietly: bool) -> None:
        if self.jobs.at_work:
            self.host.simulator.counts["cancelled"] += 1
            self.jobs.cut_off()
