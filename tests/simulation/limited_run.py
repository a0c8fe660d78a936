"""Holders, and clients that hammer one lock, under servers that limit the rate of requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any, NamedTuple

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.flow import Flow, Identity, Job, Sleep
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.keys import keys_of_name
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import ConsulLockError
from tests.simulation.limited_world import LimitedWorld
from tests.simulation.simulator import Host, Simulator

# The holders begin within so many seconds, and those that hammer after that.
_BEGIN = 20.0

# Seconds that the hammered lock is held.
_BRIEFLY = 0.05


class Outcome(NamedTuple):
    """What came of a run."""

    holding: int
    """Holders that have their lock at the end, from the beginning on."""
    grants: int
    """Of the lock that is hammered."""
    losses: Counter[str]
    """By reason."""
    errors: Counter[str]
    """By kind."""
    writes: tuple[int, int]
    """Served, and refused."""
    reads: tuple[int, int]
    events: int


class Client(Host):
    """A process with a client and one thread."""

    def __init__(self, run: LimitedRun, number: int, lock_delay: float, ttl: float) -> None:
        super().__init__(run.simulator, number)
        self.run = run
        self.core = ClientCore(self, Identity({"host": f"h{number}", "pid": number}, f"c{number}"))
        self.settings = Settings(
            session_options(ttl=ttl, lock_delay=lock_delay), on_lost=self._lost
        )

    def lock(self, name: str) -> LockCore:
        return LockCore(self.core, keys_of_name(name), self.settings)

    def _lost(self, reason: Any) -> None:
        self.run.losses[reason.value] += 1

    def begin(self, script: Generator[Any, Any, None]) -> None:
        """A script yields jobs and pauses."""

        def go_on(value: Any, error: BaseException | None) -> None:
            try:
                step = script.send(value) if error is None else script.throw(error)
            except StopIteration:
                return
            perform(step)

        def perform(step: Any) -> None:
            if not isinstance(step, Job):
                self.start(_pause(step), "pause", go_on)
                return

            def ended(value: Any, error: BaseException | None) -> None:
                if error is None or step.undo is None:
                    go_on(value, error)
                else:
                    self.start(step.undo(), "undo", lambda *_: go_on(None, error), is_call=True)

            self.start(step.flow, "call", ended, is_call=True)

        go_on(None, None)


class LimitedRun:
    """One run, from a seed."""

    def __init__(self, seed: int, *, reads: float, writes: float) -> None:
        self.world = LimitedWorld(seed, reads, writes)
        self.simulator = Simulator(self.world, seed, (0, 1, 2))
        self.losses: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.grants = 0
        self.held = list[Hold]()

    def play(
        self,
        holders: int,
        hammering: int,
        seconds: float,
        *,
        lock_delay: float = 30.0,
        ttl: float = 10.0,
    ) -> Outcome:
        """Let them do as they like for so long, once all are there."""
        for number in range(holders):
            client = Client(self, number, lock_delay, ttl)
            client.begin(self._hold(client, f"held/{number}"))
        for number in range(holders, holders + hammering):
            client = Client(self, number, lock_delay, ttl)
            client.begin(self._hammer(client, "hammered"))
        while self.simulator.now < _BEGIN + seconds and self.simulator.step():
            pass
        return Outcome(
            sum(hold.counts(hold.lock.client.surroundings.clock()) for hold in self.held),
            self.grants,
            self.losses,
            self.errors,
            (self.world.writes.served, self.world.writes.refused),
            (self.world.reads.served, self.world.reads.refused),
            self.simulator.events,
        )

    def _hold(self, client: Client, name: str) -> Generator[Any, Any, None]:
        yield Sleep(0.0, _BEGIN)
        lock = client.lock(name)
        while True:
            try:
                yield lock.acquire(True, None, client)
            except ConsulLockError as error:
                self.errors[error.kind] += 1
            else:
                break
        assert lock.hold is not None
        self.held.append(lock.hold)

    def _hammer(self, client: Client, name: str) -> Generator[Any, Any, None]:
        yield Sleep(_BEGIN, _BEGIN + 1.0)
        lock = client.lock(name)
        while True:
            try:
                yield lock.acquire(True, None, client)
                self.grants += 1
                yield Sleep(_BRIEFLY, _BRIEFLY)
                yield lock.release(client)
            except ConsulLockError as error:
                self.errors[error.kind] += 1


def _pause(effect: Any) -> Flow[None]:
    yield effect
