"""Simulated days of a cron job: many hosts, bad clocks, bad networks, crashes; and a referee."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import NamedTuple

from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.slot import Every
from consul_lock.testing import World
from tests.simulation.cron_host import CronHost
from tests.simulation.cron_invariants import CronReferee
from tests.simulation.cron_jobs import Start
from tests.simulation.flow_process import EPOCH
from tests.simulation.network_message import Fate
from tests.simulation.scenario import release
from tests.simulation.simulator import Host, Simulator
from tests.support.world_operator import operator

_TROUBLES = ("fate", "fate", "fate", "cut", "ghosts", "partition", "pause", "step", "cancel",
             "crash", "destroy", "leaderless", "error", "elect")  # fmt: skip

# In their own order, as that of a set would make each run another one.
_FATES = tuple(fate for fate in Fate if fate not in (Fate.OLD, Fate.DEPOSED, Fate.WELL))


class Day(NamedTuple):
    """What is played."""

    seed: int
    hosts: int = 3
    every: float = 60.0
    slots: int = 4
    work: float = 5.0
    skew: float = 2.0
    """Seconds that the clocks differ, at most, to either side."""
    troubles: int = 0
    only: tuple[str, ...] = _TROUBLES
    plan: CronPlan = CronPlan(Every(60.0, 0, None))
    steps: float = 100.0
    """Seconds that a clock is stepped, at most."""


def from_seed(seed: int) -> Day:
    """A day in which everything may go wrong."""
    random = Random(seed)
    every = random.choice((60.0, 300.0))
    overlap = random.choice(("skip", "skip", "skip", "wait", "wait", "allow"))
    crashed = 0 if overlap == "allow" else random.choice((0, 1, 3))
    return Day(
        seed,
        hosts=random.choice((2, 3, 5)),
        every=every,
        slots=4,
        work=random.choice((0.5, 5.0, 80.0)),
        skew=random.choice((0.0, 2.0, 70.0)),
        troubles=random.choice((3, 10, 25)),
        plan=CronPlan(
            Every(every, 0, None),
            splay=random.choice((0.0, 0.0, 5.0)),
            overlap=overlap,
            retry_crashed=crashed,
            retry_failed=random.choice((0, 1)),
            standby=random.choice((0.0, 100.0, 200.0)),
        ),
    )


class Play:
    """Plays a day.  Raises `Violation`."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.random = Random(day.seed + 1)
        self.world = World(seed=day.seed, consul=release(day.seed))
        delays = [self.random.choice((0, 1, 2, 3, 4, 5)) for _ in range(40)]
        self.simulator = Simulator(self.world, day.seed, delays)
        self.simulator.at(0.0, lambda: None)
        self.referee = CronReferee(day.plan, self.counts)
        self.hosts = [self._host(number) for number in range(day.hosts)]
        self.referee.jobs = [host.jobs for host in self.hosts]

    @property
    def counts(self) -> Counter[str]:
        return self.simulator.counts

    @property
    def starts(self) -> dict[tuple[str, int], Start]:
        """What was begun, by slot and attempt."""
        return self.referee.starts

    def _host(self, number: int) -> CronHost:
        rate = self.random.choice((1.0, 1.0, 1.0005, 0.9995))
        made = CronHost(self.simulator, number, self.day.plan, rate, self.day.work)
        made.skew = self.random.uniform(-self.day.skew, self.day.skew)
        made.jobs.on_start = self.referee.begun
        return made

    def play(self) -> Counter[str]:
        """The whole day."""
        for host in self.hosts:
            host.start(host.jobs.daemon(self.day.slots), "daemon")
        end = self.day.every * (self.day.slots + 1)
        for _ in range(self.day.troubles):
            when = self.random.uniform(0, end)
            self.simulator.at(when, self._trouble)
        self.until(end + 300.0)
        return self.counts

    def until(self, when: float) -> None:
        """Let happen what happens until then."""
        while self.simulator.now < when and self.simulator.step():
            pass

    def slots(self) -> set[str]:
        """What was begun."""
        return {slot for slot, _ in self.starts}

    def left(self) -> list[str]:
        """Keys beside the record that are left, and clients that believe to hold something."""
        keys = [key for key in self.world._server.kv.entries if not key.endswith("/.cron")]
        return [*keys, *(f"host {host.number}" for host in self.hosts if host.core.holds)]

    def done(self) -> set[str]:
        """What was run to its end."""
        return {start.slot for host in self.hosts for start in host.jobs.ended}

    # -- troubles --------------------------------------------------------------------------------

    def _trouble(self) -> None:
        what = self.random.choice(self.day.only)
        host = self._victim()
        self.counts[f"trouble: {what}"] += 1
        getattr(self, f"_{what}")(host)

    def _victim(self) -> CronHost:
        """Often one that has something to do."""
        busy = [host for host in self.hosts if host.jobs.at_work and not host.crashed]
        return self.random.choice(busy if busy and self.random.random() < 0.7 else self.hosts)

    def _fate(self, host: Host) -> None:
        host.fates.extend(self.random.choices(_FATES, k=self.random.choice((1, 1, 3))))

    def _cut(self, host: Host) -> None:
        host.reset_connections(ghosts=False)

    def _ghosts(self, host: Host) -> None:
        host.reset_connections(ghosts=True)

    def _partition(self, host: Host) -> None:
        host.cut_off_until = self.simulator.now + self.random.choice((3.0, 15.0, 70.0))

    def _pause(self, host: Host) -> None:
        host.paused_until = self.simulator.now + self.random.choice((1.0, 20.0, 90.0))

    def _step(self, host: Host) -> None:
        host.skew += self.random.uniform(-1, 1) * self.day.steps

    def _cancel(self, host: CronHost) -> None:
        host.jobs.cut_off()

    def _crash(self, host: CronHost) -> None:
        if sum(not each.crashed for each in self.hosts) > 1:
            host.crash()

    def _destroy(self, host: CronHost) -> None:
        if known := list(host.core.pool.live):
            operator(self.world, f"/v1/session/destroy/{self.random.choice(known)}")

    def _leaderless(self, host: CronHost) -> None:
        self.world.leaderless = True
        back = self.simulator.now + self.random.choice((2.0, 10.0))
        self.simulator.at(back, self._lead)

    def _lead(self) -> None:
        self.world.leaderless = False

    def _error(self, host: CronHost) -> None:
        self.world.fault(2, 500, b"rpc error making call: EOF")

    def _elect(self, host: CronHost) -> None:
        self.world.elect()


def label(place: int, every: float) -> str:
    """The slot of the so-many-th firing, by a clock that is right."""
    return Every(every, 0, None).slot((EPOCH // every + 1 + place) * every).label
