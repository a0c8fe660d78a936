"""The third driver: performs flows in virtual time, and lets every request go wrong.

A request is not one step but three that can be far apart, or not happen at all: sent, carried
out by the `World`, answered.  So an answer may come late, get lost before or after the write,
or belong to a write that comes true after the sender has given up (a ghost).
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from consul_lock.testing import World
from tests.simulation.deposed_leader import Deposed
from tests.simulation.flow_process import Process
from tests.simulation.history import History
from tests.simulation.network_message import Fate, Letter
from tests.unit.protocol.stale_reads import plain_read, renewal

if TYPE_CHECKING:
    from consul_lock._protocol.flow import Flow, Request

# Seconds that one way of a message can take.  Plans say which of them come, in which order.
DELAYS = (0.001, 0.002, 0.004, 0.01, 0.03, 0.1, 0.4, 1.3)

# More than any run needs: one that gets here goes round in circles.
EVENTS_MAX = 60_000


class Violation(AssertionError):
    """A promise of the lock was broken."""


class Simulator:
    """Virtual time, in which processes and messages of several hosts take their turns."""

    def __init__(self, world: World, seed: int, delays: Sequence[int]) -> None:
        self.world = world
        self.random = Random(seed)
        self.counts: Counter[str] = Counter()
        self.history = History()
        self.coverage: Callable[[Host, Request, object], None] = lambda host, request, answer: None
        """Called with what comes of each request."""
        self.events = 0
        self.acted: Host | None = None
        """Who has done something in the last step.  None: nobody, but the world may be another."""
        self.on_change: Callable[[Host | None, Request | None], None] = lambda host, request: None
        self.stale_reads: Any = None
        self.trace: Callable[[str], None] | None = None
        """Called with everything that happens, to look into a violation."""
        self.before_change: Callable[[], None] = lambda: None
        self._delays = tuple(delays) or (0,)
        self._drawn = 0
        self._heap: list[tuple[float, int, Host | None, Callable[[], None]]] = []
        """What is planned: when, in which order, by whom if it is a host's, and what."""
        self._order = count()
        self.time = world._server.time
        """Asked in each event: past the lock of the world, which nobody shares here."""

    @property
    def now(self) -> float:
        return self.time.now

    def tell(self, *what: Any) -> None:
        """Add something to the trace of this run, if there is one."""
        if self.trace is not None:
            self.trace(f"{self.now:9.3f} " + " ".join(map(str, what)))

    def old_answer(self, request: Request) -> Any:
        """What a leader that was deposed a moment ago would answer; None: nothing else."""
        return self.stale_reads.old(request, self.now)

    def delay(self) -> float:
        """How long the next message takes one way."""
        self._drawn += 1
        return DELAYS[self._delays[self._drawn % len(self._delays)]]

    def at(self, when: float, act: Callable[[], None], host: Host | None = None) -> None:
        """Plan something, which a host does not do while it is paused, nor when it has crashed."""
        heapq.heappush(self._heap, (when, next(self._order), host, act))

    def step(self) -> bool:
        """Let the next thing happen, in a process or in the world.  False: nothing will."""
        heap, time = self._heap, self.time
        of_world = time.next()
        if not heap and of_world is None:
            return False
        self.events += 1
        if self.events > EVENTS_MAX:
            raise Violation("no end is in sight: something goes round in circles")
        self.acted = None
        if not heap or (of_world is not None and of_world <= heap[0][0]):
            assert of_world is not None
            self.before_change()
            time.advance_to(of_world)
            self.on_change(None, None)
            return True
        due, _, host, act = heapq.heappop(heap)
        if due > time.now:
            time.now = due  # nothing of the world is due before
        if host is not None:
            if host.crashed:
                return True
            if time.now < host.paused_until:
                self.at(host.paused_until, act, host)
                return True
            self.acted = host
        act()
        return True


class Signal:
    """Something to wait for inside a simulated process."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._set = False
        self.waiting: dict[Callable[[], None], None] = {}

    def set(self) -> None:
        self._set = True
        waiting, self.waiting = self.waiting, {}
        for wake in waiting:
            self._host.after(0.0, wake)

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set


class Host:
    """A machine or process with a clock of its own, that can pause and crash."""

    def __init__(self, simulator: Simulator, number: int, rate: float = 1.0) -> None:
        self.simulator = simulator
        self.number = number
        self.crashed, self.crashed_at = False, 0.0
        self.skew = 0.0
        """Seconds that its calendar clock is ahead."""
        self.paused_until = 0.0
        self.cut_off_until = 0.0
        self.deposed = Deposed(simulator.world)
        self.fates: deque[Fate] = deque()
        """What will happen to the next requests."""
        self.letters: dict[Letter, None] = {}
        """Requests that somebody waits for."""
        self.processes: dict[Process, None] = {}
        self.hung_up = False
        """The client closes: calls wait for nothing any more."""
        self.rate, self._offset = rate, 1000.0 * (number + 1)
        self._time = simulator.time

    def clock(self) -> float:
        """Runs a little fast or slow, and began at another time than others."""
        return self._offset + self.rate * self._time.now

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after a time by this host's clock; later if it is paused then."""
        self.simulator.at(self._time.now + seconds / self.rate, act, self)

    def crash(self) -> None:
        """Nothing of it ever moves again; what it has sent may still arrive."""
        if not self.crashed:
            self.crashed, self.crashed_at = True, self._time.now

    def start(
        self,
        flow: Flow[Any],
        name: str,
        done: Callable[[Any, BaseException | None], None] | None = None,
        *,
        is_call: bool = False,
    ) -> Process:
        """Run a flow beside the others."""
        process = Process(self, flow, name, done, is_call=is_call)
        self.processes[process] = None
        self.after(0.0, process.begin)
        return process

    def post(self, request: Request, answer: Callable[[Any, BaseException | None], None]) -> Letter:
        """Send a request; ``answer`` is called once, with the result or the error."""
        fate = self.fates.popleft() if self.fates else Fate.WELL
        if fate is Fate.OLD and not (plain_read(request) or renewal(request)):
            self.fates.appendleft(fate)
            fate = Fate.WELL
        now = self._time.now
        if now < self.cut_off_until:
            fate = Fate.LOST if self.cut_off_until < float("inf") else Fate.REFUSED
        if self.deposed.until > now and fate is not Fate.REFUSED:
            fate = Fate.DEPOSED if self.deposed.answer(request) else Fate.LOST
        letter = Letter(self, request, fate, answer)
        self.letters[letter] = None
        letter.send()
        return letter

    def reset_connections(self, *, ghosts: bool) -> None:
        """All requests under way end in an error; with ``ghosts`` they are carried out later."""
        for letter in list(self.letters):
            letter.reset(ghost=ghosts)

    # -- what a ClientCore wants of its surroundings

    def mutex(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()

    def signal(self) -> Signal:
        return Signal(self)

    def random(self) -> float:
        return self.simulator.random.random()

    def catch_up(self) -> None:
        """Nothing is ever left: here an undo begins where a call is cut off."""

    def hang_up(self) -> None:
        """Long polls and pauses of calls end, as the client closes."""
        self.hung_up = True
        for process in list(self.processes):
            process.hang_up()

    def busy(self) -> bool:
        """Whether a call is under way, or its undo."""
        return any(process.is_call for process in self.processes)
