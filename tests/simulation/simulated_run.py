"""The common part of all simulated runs: the troubles, the healing, and the clean end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from typing import ClassVar

from consul_lock._protocol.flow import Request
from consul_lock.testing import World
from tests.simulation.common_invariants import Inspector
from tests.simulation.linearizability import Undecided, check_linearizable, concerning
from tests.simulation.lock_client import Contender, Wishes
from tests.simulation.network_message import GHOST_MAX, Fate
from tests.simulation.scenario import (
    FIRST,
    HOLDER,
    SECONDS,
    TIMEOUTS,
    Client,
    Fault,
    Plan,
    Trouble,
    release,
)
from tests.simulation.simulator import Host, Simulator, Violation
from tests.support.world_operator import operator
from tests.unit.protocol.stale_reads import StaleReads

# Seconds of good weather in which everybody must have been served: a dead holder's session
# expires (20), its lock-delay passes (60), what was under way is given up, and then each of
# ten threads may hold for 6 seconds.
_ALL_SERVED = 20.0 + 60.0 + 40.0 + 10 * 7.0

# How many come at once, each with a client of its own.
_FLEET = 6

# Seconds until idle sessions have been retired, ghosts have come, and all that is swept up.
SETTLED = 20.0 + 15.0 + GHOST_MAX + 10.0

_FATES = {
    trouble: Fate(trouble.value)
    for trouble in Trouble
    if trouble.value in {fate.value for fate in Fate}
}


class Trial(ABC):
    """Plays a plan.  A subclass makes the contenders, and says which checks are made."""

    referee: Inspector
    stale_reads: StaleReads

    all_served: ClassVar[float] = _ALL_SERVED

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World(seed=plan.seed, consul=release(plan.seed))
        self.world.expiry_factor = plan.expiry
        self._answers_old = any(fault.trouble is Trouble.OLD for fault in plan.faults)
        if self._answers_old and not all(client.lock_delay for client in plan.clients):
            self.world.expiry_factor = 2.0  # it is relied on, see the keeper
        takes = cycle(plan.raft)
        self.world.raft = lambda: next(takes)
        self.simulator = Simulator(self.world, plan.seed, plan.delays)
        self.cast()
        self.simulator.stale_reads = self.stale_reads
        self.simulator.before_change = self.referee.before
        self.simulator.on_change = self._changed
        self.contenders = self.referee.contenders
        self.enter()

    def enter(self) -> None:
        """Let the contenders begin."""
        for number, asked in enumerate(self.plan.clients):
            contender = Contender(self.simulator, number, asked, self.referee.granted)
            self.prepare(contender)
            self.contenders.append(contender)
            contender.begin(self.wishes, self.plan.rounds)

    # -- what each of them does in its own way

    @abstractmethod
    def cast(self) -> None:
        """Make the checks and the stale reads, before anybody plays."""

    def prepare(self, contender: Contender) -> None:  # noqa: B027 - a plain lock needs nothing
        """Set what a contender needs before it begins."""

    @abstractmethod
    def wishes(self, contender: Contender) -> Wishes:
        """What the threads of a client want."""

    @abstractmethod
    def foreign_clients_leave(self) -> None:
        """All is well again: clients that are not of the library release what they hold."""

    @property
    def counts(self) -> Counter[str]:
        return self.simulator.counts

    def _changed(self, host: Host | None, request: Request | None) -> None:
        self.referee.after(host, request)
        if self._answers_old:
            self.stale_reads.take()

    def play(self) -> Counter[str]:
        """The whole run.  Raises `Violation`; returns how often what happened."""
        for fault in self.plan.faults:
            self.go(fault.gap, lambda: False)
            self._suffer(fault)
            self.referee.all_is_stale()
            self.referee.check()
        self.go(10**9, self._idle)
        self.until(max(contender.paused_until for contender in self.contenders))
        self._heal()
        end = self.simulator.now + self.all_served
        self.go(10**9, lambda: self._done() or self.simulator.now > end)
        if not self._done():
            raise Violation("somebody was not served in time")
        self.settle()
        self._judge_history()
        return self.counts

    def _judge_history(self) -> None:
        """The second judge: it has seen nothing but what the callers did and saw."""
        for names, limit in self.referee.resources():
            operations = concerning(self.simulator.history.operations, names)
            try:
                states = check_linearizable(operations, limit)
            except Undecided:
                self.counts["histories that were not decided"] += 1
            else:
                self.counts["histories judged"] += 1
                self.counts["states of the sequential lock"] += states

    def go(self, events: int, enough: Callable[[], bool]) -> None:
        """Let so many things happen, or as many as it takes."""
        step, check = self.simulator.step, self.referee.check
        self.referee.all_is_stale()
        while events > 0 and not enough() and step():
            events -= 1
            check()

    def until(self, when: float) -> None:
        """Let happen what happens until then."""
        self.go(10**9, lambda: self.simulator.now >= when)
        # Nothing at all may happen until then.
        self.world.advance_to(when)

    def _idle(self) -> bool:
        if self.simulator.now > 150.0:
            return True
        for contender in self.contenders:
            if not contender.crashed:
                for thread in contender.threads:
                    if not thread.rested:
                        return False
        return True

    def _done(self) -> bool:
        for contender in self.contenders:  # noqa: SIM110 - asked after each event
            if not contender.done:
                return False
        return True

    # -- troubles

    def _suffer(self, fault: Fault) -> None:
        contender = self._victim(fault.who)
        seconds = SECONDS[fault.amount]
        self.simulator.tell("TROUBLE", fault)
        self.counts[f"trouble: {fault.trouble.value}"] += 1
        if (fate := _FATES.get(fault.trouble)) is not None:
            contender.fates.append(fate)
        elif (befall := getattr(self, f"_{fault.trouble.name.lower()}", None)) is not None:
            befall(contender, seconds)
        else:
            raise ValueError(fault)

    def _victim(self, who: int) -> Contender:
        session = (*(self.referee.holding() if who == HOLDER else self.referee.queued()), "")[0]
        owner = self.referee.owner(session) if who in (HOLDER, FIRST) else None
        return self.contenders[who % len(self.contenders) if owner is None else owner]

    def _cut(self, contender: Contender, seconds: float) -> None:
        contender.reset_connections(ghosts=False)

    def _cut_to_ghosts(self, contender: Contender, seconds: float) -> None:
        contender.reset_connections(ghosts=True)

    def _partition(self, contender: Contender, seconds: float) -> None:
        contender.cut_off_until = self.simulator.now + seconds

    def _deposed(self, contender: Contender, seconds: float) -> None:
        contender.deposed.begin(contender.sessions(), self.simulator.now + seconds)

    def _pause(self, contender: Contender, seconds: float) -> None:
        contender.paused_until = max(contender.paused_until, self.simulator.now + seconds)

    def _freeze(self, contender: Contender, seconds: float) -> None:
        for each in self.contenders:
            self._pause(each, seconds)

    def _cancel(self, contender: Contender, seconds: float) -> None:
        contender.threads[-1].cancel(quietly=False)

    def _cancel_quietly(self, contender: Contender, seconds: float) -> None:
        contender.threads[0].cancel(quietly=True)

    def _crash(self, contender: Contender, seconds: float) -> None:
        if sum(not each.crashed for each in self.contenders) > 2:
            contender.crash()

    def _close(self, contender: Contender, seconds: float) -> None:
        if not contender.closed and not contender.crashed:
            contender.close()

    def _leaderless(self, contender: Contender, seconds: float) -> None:
        self.world.leaderless = True
        back = self.simulator.now + min(seconds, 15.0)
        self.simulator.at(back, lambda: self.change(self._end_leaderless))

    def _end_leaderless(self) -> None:
        self.world.leaderless = False

    def _elect(self, contender: Contender, seconds: float) -> None:
        self.change(self.world.elect)

    def _error_500(self, contender: Contender, seconds: float) -> None:
        self.world.fault(2, 500, b"rpc error making call: EOF")

    def _destroy(self, contender: Contender, seconds: float) -> None:
        if known := contender.sessions():
            busy = (*self.referee.holding(), *self.referee.queued())
            chosen = next((s for s in busy if s in known), known[0])
            self.change(lambda: operator(self.world, f"/v1/session/destroy/{chosen}"))

    def _fleet(self, contender: Contender, seconds: float) -> None:
        for _ in range(_FLEET):
            asked = contender.asked
            newcomer = Contender(
                self.simulator,
                len(self.contenders),
                Client(
                    timeouts=(TIMEOUTS.index(0.0),),
                    lock_delay=asked.lock_delay,
                    wishes=asked.wishes,
                    numbers=asked.numbers,
                ),
                self.referee.granted,
            )
            newcomer.passing_by = True
            self.contenders.append(newcomer)
            newcomer.begin(self.wishes, 1)
        # They come at once or up to 2 s later, and have first to make a session.
        when = self.simulator.now + self.simulator.random.uniform(0.0, 2.2)
        self.simulator.at(when, lambda: self._destroy(self._victim(HOLDER), seconds))

    def _leave(self, contender: Contender, seconds: float) -> None:
        self.change(self.world.leave_node)

    def change(self, act: Callable[[], object]) -> None:
        """Somebody else does something to the world."""
        self.referee.before()
        act()
        self.simulator.on_change(None, None)

    # -- the end

    def _heal(self) -> None:
        self.simulator.tell("all is well again")
        self.world.leaderless = False
        self.world._faults.clear()
        for contender in self.contenders:
            contender.fates.clear()
            if not contender.closed:
                contender.cut_off_until = 0.0
            contender.deposed.end()
            for thread in contender.threads:
                thread.weather.set()
        self.foreign_clients_leave()
        self.referee.healed = self.simulator.now

    def settle(self) -> None:
        """Everybody has been served: nothing is left, before the clients are closed and after."""
        settled = self.simulator.now + SETTLED
        self.sweep()
        if self.plan.seed % 2:
            # Time enough for idle sessions to be retired; else they end with the clients.
            self.until(settled)
        self.until(self.simulator.now + 3.0)
        if not any(contender.crashed for contender in self.contenders):
            self.referee.nothing_left()
        self.referee.only_idle_sessions()
        for contender in self._alive():
            if not contender.closed:
                contender.close()
        self.until(self.simulator.now + SETTLED)
        self.referee.nothing_left()
        self.referee.no_sessions()
        if running := [p.name for contender in self._alive() for p in contender.processes]:
            raise Violation(f"still running after the close: {running}")

    def sweep(self) -> None:
        """Let the keepers, and clean-ups that wait for an answer still, take away what is left of
        troubles."""
        settled = self.simulator.now + SETTLED
        self.go(10**9, lambda: self._swept() or self.simulator.now > settled)

    def _alive(self) -> list[Contender]:
        return [contender for contender in self.contenders if not contender.crashed]

    def _swept(self) -> bool:
        for contender in self._alive():
            pool = contender.core.pool
            if pool.to_destroy or pool.orphans or contender.busy():
                return False
        return True
