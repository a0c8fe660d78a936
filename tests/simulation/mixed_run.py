"""One simulated run of all kinds of locks at once: in one world, by the same clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from consul_lock._protocol import keys as names
from consul_lock._protocol.flow import Request
from tests.simulation import lock_run
from tests.simulation.common_invariants import Inspector, Resource
from tests.simulation.cron_invariants import CronReferee, RunLockReferee
from tests.simulation.election_invariants import ElectionReferee
from tests.simulation.foreign_lock_client import ForeignClient
from tests.simulation.lock_client import Contender, Thread, Wish, Wishes
from tests.simulation.lock_invariants import Referee
from tests.simulation.mixed_client import CRON, LEADER, CronDaemon, Spectator, candidates, cron_plan
from tests.simulation.simulated_run import Trial
from tests.simulation.simulator import Host, Simulator
from tests.simulation.weighted_invariants import CrowdReferee
from tests.simulation.weighted_kinds import KINDS, Menu
from tests.simulation.weighted_run import TRIES, last_guest, watched_keys
from tests.simulation.weighted_scenario import CrowdPlan
from tests.unit.protocol.stale_reads import StaleReads

if TYPE_CHECKING:
    from consul_lock._protocol.hold.hold import Hold

# Seconds to wait for a semaphore while one has the lock: two may wait for each other.
_HASTE = 0.4


class Everything(Inspector):
    """The invariants of each kind, among the same clients."""

    def __init__(
        self,
        simulator: Simulator,
        lock: Referee,
        election: ElectionReferee,
        run_lock: RunLockReferee,
        crowds: Sequence[CrowdReferee],
    ) -> None:
        self.lock, self.election, self.crowds = lock, election, crowds
        self._parts: tuple[Inspector, ...] = (lock, election, run_lock, *crowds)
        super().__init__(simulator, orderly=False)
        for part in self._parts:
            part.contenders, part.foreign_sessions = self.contenders, self.foreign_sessions
            part._owners = self._owners

    def part_of(self, thread: Thread, hold: Hold) -> Inspector:
        """The one that knows about a hold."""
        weights = thread.weights_of(hold)
        lock = self.election if hold.key == self.election.lock_key else self.lock
        return next((crowd for crowd in self.crowds if crowd.concerns(weights)), lock)

    def holding(self) -> list[str]:
        return [session for part in self._parts for session in part.holding()]

    def queued(self) -> list[str]:
        return [session for part in self._parts for session in part.queued()]

    def before(self) -> None:
        for part in self._parts:
            part.before()

    def after(self, host: Host | None, request: Request | None) -> None:
        for part in self._parts:
            part.after(host, request)

    def granted(self, thread: Thread, hold: Hold) -> None:
        self.part_of(thread, hold).granted(thread, hold)

    def reduced(self, thread: Thread, hold: Hold) -> None:
        """Somebody has less now than it was granted."""
        part = self.part_of(thread, hold)
        assert isinstance(part, CrowdReferee)
        part.reduced(thread, hold)

    def check_kind(self) -> None:
        for part in self._parts:
            part.believing = self.believing
            part.check_kind()

    def check_time(self) -> None:
        for part in self._parts:
            part.healed = self.healed
            part.check_time()

    def nothing_left(self) -> None:
        for part in self._parts:
            part.nothing_left()

    def resources(self) -> list[Resource]:
        return [each for part in self._parts for each in part.resources()]


class MixedRun(Trial):
    """Plays a plan."""

    referee: Everything

    def __init__(self, plan: CrowdPlan) -> None:
        self.limit, self.without = plan.limit, plan.without
        super().__init__(plan.plan)

    def cast(self) -> None:
        lock, leader, cron = map(names.keys_of_name, (lock_run.NAME, LEADER, CRON))
        found = list[tuple[str, bool]]()
        for keys in (lock, leader, cron):
            found += [(keys.key, False), (keys.base, True)]
        for kind in KINDS.values():
            found += watched_keys(kind)
        self.stale_reads = StaleReads(self.world, dict.fromkeys(found))
        self.referee = Everything(
            self.simulator,
            Referee(self.simulator, lock, self.plan),
            ElectionReferee(self.simulator, leader, self.plan),
            RunLockReferee(self.simulator, cron, self.plan),
            [
                CrowdReferee(self.simulator, kind, self.plan, orderly=False, limit=self.limit)
                for kind in KINDS.values()
            ],
        )
        self.foreign = ForeignClient(self.world, self.simulator, self.referee.lock, lock.key)
        self.cron_plan = cron_plan(self.plan.seed)
        self.cron = CronReferee(self.cron_plan, self.counts)

    def prepare(self, contender: Contender) -> None:
        contender.tries = TRIES
        contender.reduced = self.referee.reduced
        if contender.number % 2 and "observers" not in self.without:
            contender.threads.append(Spectator(contender))
        if "cron" not in self.without:
            contender.threads.append(CronDaemon(contender, self.cron, self.cron_plan))

    def wishes(self, contender: Contender) -> Wishes:
        """Another kind each time, and in turn the lock with a slot of the semaphore beside it."""
        of_lock = lock_run.wishes(contender)
        menus = {name: self._menu(contender, name) for name in KINDS}
        wanted: dict[str, Wishes] = {
            "lock": of_lock,
            "election": candidates(contender, self.referee.election),
            **{name: menu.wishes(self.plan.rounds) for name, menu in menus.items()},
        }
        # Somebody has to want something.
        each = [wanted[name] for name in wanted if name not in self.without] or [of_lock]

        def wish(thread: Thread, turn: int) -> Wish:
            asked = contender.asked.wishes[turn % len(contender.asked.wishes)]
            chosen = each[(asked + thread.place + turn) % len(each)](thread, turn)
            if chosen.lock.key == self.referee.lock.lock_key and turn % 2:
                semaphore = menus["semaphore"]
                inner = semaphore.wish(0)._replace(patience=_HASTE)
                chosen = chosen._replace(inner=inner, refused=semaphore.refused)
            return chosen

        return wish

    def _menu(self, contender: Contender, kind: str) -> Menu:
        return KINDS[kind].menu(contender, self.limit)

    def foreign_clients_leave(self) -> None:
        self.change(lambda: self.foreign.leaves(lock_run.NAME + "/.lock"))

    def _foreign(self, contender: Contender, seconds: float) -> None:
        self.foreign.wants_it(min(seconds, 12.0))

    def _foreign_key(self, contender: Contender, seconds: float) -> None:
        self.change(lambda: self.foreign.puts_a_key(lock_run.NAME + "/.lock"))

    def settle(self) -> None:
        self.sweep()
        for name, crowd in zip(KINDS, self.referee.crowds, strict=True):
            last_guest(self, lambda contender, name=name: self._menu(contender, name))
            crowd.swept = True
        super().settle()
