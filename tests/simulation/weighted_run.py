"""One simulated run of what several can hold, from the first acquire to the last clean-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.simulation.foreign_semaphore_client import GoSemaphore
from tests.simulation.lock_client import Contender, Thread, Wish, Wishes
from tests.simulation.scenario import SECONDS, Client
from tests.simulation.simulated_run import Trial
from tests.simulation.simulator import Violation
from tests.simulation.weighted_invariants import CrowdReferee
from tests.simulation.weighted_kinds import KINDS, Kind, Menu
from tests.simulation.weighted_scenario import CrowdPlan
from tests.support.world_operator import operator
from tests.unit.protocol.stale_reads import StaleReads

# Tries to get it once all is well again: others may have changed the limit meanwhile.
TRIES = 6

# Seconds in which the last client has had everything: the dead are found dead (20), and their
# lock-delay passes (60), in each of several places if they are seen one after the other.
_SWEPT = 4 * 90.0


class CrowdRun(Trial):
    """Plays a plan."""

    referee: CrowdReferee

    def __init__(self, plan: CrowdPlan) -> None:
        self.kind, self.limit = KINDS[plan.kind], plan.limit
        super().__init__(plan.plan)

    def cast(self) -> None:
        self.stale_reads = StaleReads(self.world, dict.fromkeys(watched_keys(self.kind)))
        self.referee = CrowdReferee(
            self.simulator, self.kind, self.plan, orderly=self.plan.orderly, limit=self.limit
        )
        self.foreign = GoSemaphore(self.world, self.simulator, self.referee, self.limit)

    def prepare(self, contender: Contender) -> None:
        contender.tries = TRIES
        contender.reduced = self.referee.reduced

    def wishes(self, contender: Contender) -> Wishes:
        return self._menu(contender).wishes(self.plan.rounds)

    def _menu(self, contender: Contender) -> Menu:
        return self.kind.menu(contender, self.limit)

    # -- troubles that are different here

    def _foreign(self, contender: Contender, seconds: float) -> None:
        if self.kind is KINDS["semaphore"]:
            self.foreign.wants_it(min(seconds, 12.0))

    def _foreign_key(self, contender: Contender, seconds: float) -> None:
        name = self.kind.names[SECONDS.index(seconds) % len(self.kind.names)]
        self.change(lambda: self.foreign.puts_a_key(f"{name}/.lock"))

    def _delete(self, contender: Contender, seconds: float) -> None:
        keys = sorted(k for k in self.referee.all_keys() if k.endswith("/.lock") or seconds > 1.0)
        if keys:
            self.referee.exclusive = False
            key = keys[SECONDS.index(seconds) % len(keys)]
            self.change(lambda: operator(self.world, f"/v1/kv/{key}", "DELETE"))

    # -- the end

    def foreign_clients_leave(self) -> None:
        self.change(self.foreign.leaves)

    def settle(self) -> None:
        self.sweep()
        self.until(self.simulator.now + 3.0)
        if not any(contender.crashed for contender in self.contenders):
            self.referee.nothing_left()
        last_guest(self, self._menu)
        self.referee.swept = True
        super().settle()


def watched_keys(kind: Kind) -> list[tuple[str, bool]]:
    """What a deposed leader may answer reads of: keys, and trees of keys."""
    found = list[tuple[str, bool]]()
    for name in kind.names:
        found += [(f"{name}/.lock", False), (f"{name}/{kind.layout.folder}".rstrip("/"), True)]
        found += [(f"{name}/", True), (f"{name}/.lock", True)]
    return found


def last_guest(run: Trial, menu_of: Callable[[Contender], Menu]) -> None:
    """Somebody has everything once, for which the dead have to go."""
    simulator, lock_delay = run.simulator, run.plan.clients[0].lock_delay
    guest = Contender(
        simulator, len(run.contenders), Client(lock_delay=lock_delay), run.referee.granted
    )
    guest.tries = TRIES
    run.contenders.append(guest)

    def wishes(contender: Contender) -> Wishes:
        menu = menu_of(contender)

        def wish(thread: Thread, turn: int) -> Wish:
            everything = menu.everything()
            return everything[turn % len(everything)]

        return wish

    guest.begin(wishes, len(menu_of(guest).everything()))
    end = simulator.now + _SWEPT
    run.go(10**9, lambda: guest.threads[0].rested or simulator.now > end)
    guest.threads[0].weather.set()
    run.go(10**9, lambda: guest.done or simulator.now > end)
    if not guest.done:
        raise Violation("the dead were not put out in time")


def play(plan: CrowdPlan) -> Counter[str]:
    """Run a plan."""
    return CrowdRun(plan).play()
