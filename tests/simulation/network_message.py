"""A request on its way to the world and back, and what can become of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from consul_lock._protocol.flow import Reply
from consul_lock.errors import Unavailable

if TYPE_CHECKING:
    from consul_lock._protocol.flow import Request
    from consul_lock.testing import Exchange
    from tests.simulation.simulator import Host

# Seconds for one exchange, as `consul_lock.Client` has it by default.
REQUEST_TIMEOUT = 10.0

# Seconds after which a ghost comes at the latest: an agent keeps no request for longer.
GHOST_MAX = 14.0


class Fate(enum.Enum):
    """What becomes of a request."""

    WELL = "well"
    REFUSED = "refused"
    """The connection is refused: certainly not carried out."""
    LOST = "lost"
    """It never arrives, and the sender waits until the time is up."""
    ANSWER_LOST = "answer lost"
    """It is carried out, and the sender waits until the time is up."""
    CUT_AFTER = "cut after"
    """It is carried out, and the connection breaks at once."""
    GHOST = "ghost"
    """The connection breaks, and it is carried out after that."""
    LATE = "late"
    """The answer takes seconds."""
    OLD = "old"
    """A deposed leader answers it, if it is a plain read or a renewal."""
    DEPOSED = "answered by the deposed"
    """A deposed leader answers it, which nobody else hears of."""


class Letter:
    """One exchange.  The sender hears of it once, or never if it does not listen any more."""

    def __init__(
        self,
        host: Host,
        request: Request,
        fate: Fate,
        answer: Callable[[Any, BaseException | None], None],
    ) -> None:
        self.request = request
        self.fate = fate
        self._host = host
        self._answer: Callable[[Any, BaseException | None], None] | None = answer
        self._sent = host.clock()
        self._exchange: Exchange | None = None
        self._dropped = False

    def __str__(self) -> str:
        what = f"{self.request.method} {self.request.path} {dict(self.request.params)}"
        return f"[{self._host.number}] {what} {(self.request.body or b'').decode()}"

    def send(self) -> None:
        simulator, request = self._host.simulator, self.request
        simulator.counts["requests"] += 1
        if simulator.trace is not None:
            simulator.tell(self, "is sent:", self.fate.value)
        if self.fate is not Fate.WELL:
            simulator.counts[self.fate.value] += 1
        timeout = REQUEST_TIMEOUT if request.timeout is None else request.timeout
        self._host.after(timeout + request.wait, self._time_out)
        way = simulator.delay()
        if self.fate is Fate.REFUSED:
            self._host.after(way, lambda: self._fail("refused", uncertain=False))
            return
        if self.fate is Fate.LOST:
            return
        if self.fate is Fate.GHOST:
            self._host.after(way, lambda: self._fail("connection reset"))
            way += simulator.random.choice((0.01, 0.3, 2.0, GHOST_MAX - 2))
        # Not an event of the host: it may be paused or dead while its request goes on.
        simulator.at(simulator.time.now + way, self._arrive)

    def stop_listening(self) -> None:
        """The sender was cancelled.  What is on its way stays on its way."""
        self._answer = None
        self._host.letters.pop(self, None)
        if self._exchange is not None:
            self._exchange.cancel()

    def reset(self, *, ghost: bool) -> None:
        """The connection breaks."""
        self._dropped = not ghost and self._exchange is None
        self._host.simulator.counts["cut, ghost" if ghost else "cut"] += 1
        self._host.after(0.0, lambda: self._fail("connection reset"))

    def _arrive(self) -> None:
        simulator = self._host.simulator
        if self._dropped:
            return
        if self._answer is None:
            simulator.counts["ghosts carried out"] += 1
        if self.fate is Fate.OLD and (old := simulator.old_answer(self.request)) is not None:
            simulator.counts["stale reads"] += 1
            self._deliver(old)
            return
        if self.fate is Fate.DEPOSED:
            self._deliver(self._host.deposed.answer(self.request))
            return
        simulator.before_change()
        self._exchange = simulator.world.submit(self.request)
        self._exchange.applied = self._applied
        if simulator.trace is not None:
            simulator.tell(self, "is carried out:", self._exchange.reply)
        simulator.on_change(self._host, self.request)
        if self._answer is None:
            self._exchange.cancel()
        elif self._exchange.reply is None:
            self._exchange.done = self._answered
        else:
            self._answered()

    def _applied(self) -> None:
        simulator = self._host.simulator
        simulator.counts["applied later than admitted"] += 1
        simulator.tell(self, "is applied")
        simulator.on_change(self._host, self.request)
        simulator.before_change()

    def _answered(self) -> None:
        assert self._exchange is not None
        self._deliver(self._exchange.reply)

    def _deliver(self, reply: Any) -> None:
        simulator = self._host.simulator
        way = simulator.delay()
        if self.fate is Fate.ANSWER_LOST:
            return
        if self.fate is Fate.CUT_AFTER:
            self._host.after(way, lambda: self._fail("connection reset"))
            return
        if self.fate is Fate.LATE:
            way += simulator.random.choice((0.5, 4.0, 9.0, 12.0))
        reply = Reply(reply.status, reply.headers, reply.body, self._sent)
        self._host.after(way, lambda: self._read(reply))

    def _read(self, reply: Any) -> None:
        try:
            value = self.request.parse(reply)
        except Exception as error:  # noqa: BLE001 - whatever it is, the flow gets it
            self._finish(None, error)
        else:
            self._finish(value, None)

    def _time_out(self) -> None:
        if self._answer is None:
            self._host.simulator.acted = None  # it was answered long ago
        else:
            self._host.simulator.counts["timed out"] += 1
            self._fail("timed out")

    def _fail(self, why: str, *, uncertain: bool = True) -> None:
        self._finish(None, Unavailable(f"simulated: {why}", uncertain=uncertain))

    def _finish(self, value: Any, error: BaseException | None) -> None:
        answer, simulator = self._answer, self._host.simulator
        if answer is not None:
            if simulator.trace is not None:
                simulator.tell(self, "ends:", error or "well")
            self.stop_listening()
            simulator.coverage(self._host, self.request, error or value)
            answer(value, error)
