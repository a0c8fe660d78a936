"""One simulated run of a plan, from the first acquire to the last clean-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from consul_lock._protocol import names
from consul_lock._protocol.flow import Request
from consul_lock._protocol.verdict import LOCK_FLAG
from consul_lock.testing import World
from tests.protocol.contender import NAME, Contender
from tests.protocol.letter import GHOST_MOST, Fate
from tests.protocol.pictures import Pictures
from tests.protocol.plan import FIRST, HOLDER, SECONDS, Fault, Plan, Trouble
from tests.protocol.referee import Referee
from tests.protocol.simulator import Host, Simulator, Violation
from tests.protocol.stranger import Stranger, operator

# Seconds of good weather in which everybody must have been served: a dead holder's session
# expires (20), its lock-delay passes (60), what was under way is given up, and then each of
# ten threads may hold for 6 seconds.
_ALL_SERVED = 20.0 + 60.0 + 40.0 + 10 * 7.0

# Seconds until idle sessions have been retired, ghosts have come, and all that is swept up.
_SETTLED = 20.0 + 15.0 + GHOST_MOST + 10.0

_FATES = {
    trouble: Fate(trouble.value)
    for trouble in Trouble
    if trouble.value in {fate.value for fate in Fate}
}


class Run:
    """Plays a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World(seed=plan.seed)
        self.world.expiry_factor = plan.expiry
        self.keys = names.for_name(NAME)
        self.simulator = Simulator(self.world, plan.seed, plan.delays)
        self.pictures = Pictures(self.world, self.keys.key, self.keys.base)
        self.simulator.pictures = self.pictures
        self.referee = Referee(self.simulator, self.keys, orderly=plan.orderly)
        self.simulator.before_change = self.referee.before
        self.simulator.on_change = self._changed
        self.stranger = Stranger(self.world, self.simulator, self.referee, self.keys.key)
        self.contenders = self.referee.contenders
        for number, asked in enumerate(plan.clients):
            self.contenders.append(
                Contender(self.simulator, number, asked, plan.rounds, self.referee.granted)
            )

    @property
    def counts(self) -> Counter[str]:
        return self.simulator.counts

    def _changed(self, host: Host | None, request: Request | None) -> None:
        self.referee.after(host, request)
        self.pictures.take()

    def play(self) -> Counter[str]:
        """The whole run.  Raises `Violation`; returns how often what happened."""
        for fault in self.plan.faults:
            self._go(fault.gap, lambda: False)
            self._suffer(fault)
            self.referee.check()
        self._go(10**9, self._idle)
        self._until(max(contender.paused_until for contender in self.contenders))
        self._heal()
        end = self.simulator.now + _ALL_SERVED
        self._go(10**9, lambda: self._done() or self.simulator.now > end)
        if not self._done():
            raise Violation("somebody was not served in time")
        self._settle()
        return self.counts

    def _go(self, events: int, enough: Callable[[], bool]) -> None:
        while events > 0 and not enough() and self.simulator.step():
            events -= 1
            self.referee.check()

    def _until(self, when: float) -> None:
        self._go(10**9, lambda: self.simulator.now >= when)

    def _idle(self) -> bool:
        return (
            all(
                contender.crashed or all(not t.wants and t.job is None for t in contender.threads)
                for contender in self.contenders
            )
            or self.simulator.now > 150.0
        )

    def _done(self) -> bool:
        return all(contender.done for contender in self.contenders)

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
        found = self.referee.lock()
        session = found.session if who == HOLDER else (*found.line, "")[0]
        owner = self.referee.owner(session) if who in (HOLDER, FIRST) else None
        return self.contenders[who % len(self.contenders) if owner is None else owner]

    def _cut(self, contender: Contender, seconds: float) -> None:
        contender.reset_connections(ghosts=False)

    def _cut_to_ghosts(self, contender: Contender, seconds: float) -> None:
        contender.reset_connections(ghosts=True)

    def _partition(self, contender: Contender, seconds: float) -> None:
        contender.cut_off_until = self.simulator.now + seconds

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
        self.simulator.at(back, lambda: self._change(self._end_leaderless))

    def _end_leaderless(self) -> None:
        self.world.leaderless = False

    def _elect(self, contender: Contender, seconds: float) -> None:
        self._change(self.world.elect)

    def _error_500(self, contender: Contender, seconds: float) -> None:
        self.world.fault(2, 500, b"rpc error making call: EOF")

    def _stranger(self, contender: Contender, seconds: float) -> None:
        self.stranger.wants_it(min(seconds, 12.0))

    def _foreign_key(self, contender: Contender, seconds: float) -> None:
        self._change(lambda: self.stranger.puts_a_key(self.keys.key))

    def _destroy(self, contender: Contender, seconds: float) -> None:
        if contender.sessions():
            found, known = self.referee.lock(), contender.sessions()
            chosen = next((s for s in (found.session, *found.line) if s in known), known[0])
            self._change(lambda: operator(self.world, f"/v1/session/destroy/{chosen}"))

    def _leave(self, contender: Contender, seconds: float) -> None:
        self._change(self.world.leave_node)

    def _delete(self, contender: Contender, seconds: float) -> None:
        if self.referee.lock().flags == LOCK_FLAG:
            self.referee.exclusive = False
            self._change(lambda: operator(self.world, f"/v1/kv/{self.keys.key}", "DELETE"))

    def _change(self, act: Callable[[], object]) -> None:
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
            for thread in contender.threads:
                thread.weather.set()
        self._change(lambda: self.stranger.leaves(self.keys.key))
        self.referee.healed = self.simulator.now

    def _settle(self) -> None:
        settled = self.simulator.now + _SETTLED
        self._go(10**9, lambda: self._swept() or self.simulator.now > settled)
        if self.plan.seed % 2:
            # Time enough for idle sessions to be retired; else they end with the clients.
            self._until(settled)
        self._until(self.simulator.now + 3.0)
        if not any(contender.crashed for contender in self.contenders):
            self.referee.nothing_left()
        self.referee.only_idle_sessions()
        for contender in self._alive():
            if not contender.closed:
                contender.close()
        self._until(self.simulator.now + _SETTLED)
        self.referee.nothing_left()
        self.referee.no_sessions()
        if running := [p.name for contender in self._alive() for p in contender.processes]:
            raise Violation(f"still running after the close: {running}")

    def _alive(self) -> list[Contender]:
        return [contender for contender in self.contenders if not contender.crashed]

    def _swept(self) -> bool:
        pools = [contender.core.pool for contender in self._alive()]
        return not any(pool.condemned or pool.orphans for pool in pools)


def play(plan: Plan) -> Counter[str]:
    """Run a plan."""
    return Run(plan).play()
