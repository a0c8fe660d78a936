"""One simulated run of a lock, from the first acquire to the last clean-up."""

from __future__ import annotations

from collections import Counter

from consul_lock._protocol import keys as names
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.lock.lock import LockCore
from tests.simulation.foreign_lock_client import ForeignClient
from tests.simulation.lock_client import Contender, Wish, Wishes
from tests.simulation.lock_invariants import Referee
from tests.simulation.scenario import Plan
from tests.simulation.simulated_run import Trial
from tests.support.world_operator import operator
from tests.unit.protocol.stale_reads import StaleReads

NAME = "jobs/nightly"


def wishes(contender: Contender) -> Wishes:
    """All threads of a client want the same lock, and share its object."""
    lock = LockCore(contender.core, names.keys_of_name(NAME), contender.settings)
    expected = contender.simulator.counts
    wish = Wish(lock, 1, {NAME: 1}, refused=lambda error: expected["trouble: foreign key"] > 0)
    return lambda thread, turn: wish


class Run(Trial):
    """Plays a plan."""

    referee: Referee

    def cast(self) -> None:
        self.keys = names.keys_of_name(NAME)
        self.stale_reads = StaleReads(self.world, ((self.keys.key, False), (self.keys.base, True)))
        self.referee = Referee(self.simulator, self.keys, self.plan)
        self.foreign = ForeignClient(self.world, self.simulator, self.referee, self.keys.key)

    def wishes(self, contender: Contender) -> Wishes:
        return wishes(contender)

    def foreign_clients_leave(self) -> None:
        self.change(lambda: self.foreign.leaves(self.keys.key))

    # -- troubles that only a lock has

    def _foreign(self, contender: Contender, seconds: float) -> None:
        self.foreign.wants_it(min(seconds, 12.0))

    def _foreign_key(self, contender: Contender, seconds: float) -> None:
        self.change(lambda: self.foreign.puts_a_key(self.keys.key))

    def _delete(self, contender: Contender, seconds: float) -> None:
        if self.referee.lock().flags == LOCK_FLAG:
            self.referee.exclusive = False
            self.change(lambda: operator(self.world, f"/v1/kv/{self.keys.key}", "DELETE"))


def play(plan: Plan) -> Counter[str]:
    """Run a plan."""
    return Run(plan).play()
