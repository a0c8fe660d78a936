"""One flow, performed in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from consul_lock._protocol.flow import (
    Batch,
    Call,
    Flow,
    Now,
    Request,
    Sleep,
    Spawn,
    Wait,
    Wall,
    Warn,
)
from consul_lock.errors import Unavailable

if TYPE_CHECKING:
    from tests.simulation.network_message import Letter
    from tests.simulation.simulator import Host

# What the calendar shows at the beginning of a world.
EPOCH = 1_600_000_000.0


class Cancelled(BaseException):
    """Thrown into a flow from outside, like KeyboardInterrupt or asyncio's CancelledError."""


class Process:
    """A thread or task of a host.  Between two effects anything may happen to it."""

    def __init__(
        self,
        host: Host,
        flow: Flow[Any],
        name: str,
        done: Callable[[Any, BaseException | None], None] | None,
        *,
        is_call: bool = False,
    ) -> None:
        self.name = name
        self.is_call = is_call
        """It is a call of somebody, or its undo: closing waits for it."""
        self._host = host
        self._flow = flow
        self._done = done
        self._turn = 0
        """Raised at every step, so that what was meant for an earlier one is void."""
        self._letters: list[Letter] = []
        self._waits = False
        """It is in a long poll, or in a pause of a call: that ends if the client closes."""

    def begin(self) -> None:
        if self in self._host.processes:
            self._step(self._flow.send, None)

    def cancel(self, *, quietly: bool) -> None:
        """Cut the flow off where it is.  It must end at once: it may yield nothing more."""
        self._turn += 1
        for letter in self._letters:
            letter.stop_listening()
        error = GeneratorExit() if quietly else Cancelled()
        try:
            effect = self._flow.throw(error)
        except StopIteration as stop:
            raise AssertionError(f"{self.name} went on after it was cut off") from stop
        except (Cancelled, GeneratorExit):
            self._end(None, Cancelled())
        else:
            raise AssertionError(f"{self.name} yielded {effect!r} while it unwound")

    def hang_up(self) -> None:
        """The client closes."""
        if self._waits:
            for letter in self._letters:
                letter.stop_listening()
            self._refuse()

    def _step(self, step: Callable[[Any], Any], value: Any) -> None:
        self._letters, self._waits = [], False
        self._turn += 1
        self._host.simulator.acted = self._host
        while True:
            try:
                effect = step(value)
            except StopIteration as stop:
                self._end(stop.value, None)
                return
            except Exception as error:  # noqa: BLE001 - given to the caller of the flow
                self._end(None, error)
                return
            if self._takes_time(effect):
                return
            step, value = self._flow.send, self._at_once(effect)

    def _end(self, value: Any, error: BaseException | None) -> None:
        self._host.processes.pop(self, None)
        if self._done is not None:
            self._done(value, error)
        elif error is not None and not isinstance(error, Cancelled):
            raise AssertionError(f"{self.name} ended with {error!r}") from error

    def _at_once(self, effect: Any) -> Any:
        if type(effect) is Now:  # it comes most often by far
            return self._host.clock()
        match effect:
            case Wall():
                return EPOCH + self._host.simulator.now + self._host.skew
            case Wait(_, _):
                return True
            case Spawn(flow, name):
                self._host.start(flow, name)
            case Call(function, args):
                function(*args)
            case Warn(_, "unavailable", _):
                self._host.simulator.counts["said that Consul is away"] += 1
            case Warn(text, event, error):
                self._host.simulator.counts[f"warned: {event}"] += 1
                # Nobody here writes over what others hold, and nothing is unforeseen.
                if event == "overwritten" or error is not None:
                    raise AssertionError(text) from error
            case _:
                raise AssertionError(f"{effect!r} is no effect")
        return None

    def _takes_time(self, effect: Any) -> bool:
        """Begin an effect that ends later.  False: it can be performed at once."""
        host = self._host
        kind = type(effect)  # compared first to last by how often each comes
        if kind is Now:
            if host.simulator.random.random() >= 0.2:
                return False
            # Other threads of the process may come in between.
            resume = self._resumption()
            host.after(0.0, lambda: resume(host.clock(), None))
        elif kind is Request:
            if effect.wait and host.hung_up:
                self._refuse()
            else:
                self._waits = effect.wait > 0
                self._letters = [host.post(effect, self._resumption())]
        elif kind is Sleep:
            if self._pauses and host.hung_up:
                self._refuse()
            else:
                self._sleep(effect)
        elif kind is Wait and not effect.signal.is_set():
            self._wait(effect.signal, effect.timeout)
        elif kind is Batch:
            self._post_all(effect.requests)
        else:
            return False
        return True

    def _sleep(self, effect: Sleep) -> None:
        self._waits = self._pauses
        resume = self._resumption()
        seconds = self._host.simulator.random.uniform(effect.low, effect.high)
        self._host.after(seconds, lambda: resume(None, None))

    def _post_all(self, requests: tuple[Request, ...]) -> None:
        """Send all; go on when each has been answered, or has failed."""
        resume = self._resumption()
        if not requests:
            self._host.after(0.0, lambda: resume((), None))
            return
        answers: list[Any] = [None] * len(requests)
        left = set(range(len(requests)))

        def answered(place: int, value: Any, error: BaseException | None) -> None:
            answers[place] = value if error is None else error
            left.discard(place)
            if not left:
                resume(tuple(answers), None)

        self._letters = [
            self._host.post(request, partial(answered, place))
            for place, request in enumerate(requests)
        ]

    @property
    def _pauses(self) -> bool:
        """Its pauses end if the client closes: it is a call, and no undo."""
        return self.is_call and not self.name.startswith("undo")

    def _refuse(self) -> None:
        resume = self._resumption()
        closed = Unavailable("the client is closed", uncertain=False)
        self._host.after(0.0, lambda: resume(None, closed))

    def _wait(self, signal: Any, timeout: float | None) -> None:
        resume = self._resumption()

        def wake() -> None:
            resume(True, None)

        def time_out() -> None:
            signal.waiting.pop(wake, None)
            resume(signal.is_set(), None)

        signal.waiting[wake] = None
        if timeout is not None:
            self._host.after(timeout, time_out)

    def _resumption(self) -> Callable[[Any, BaseException | None], None]:
        turn = self._turn

        def resume(value: Any, error: BaseException | None) -> None:
            if turn != self._turn:
                self._host.simulator.acted = None  # it waits for something else by now
            elif error is None:
                self._step(self._flow.send, value)
            else:
                self._step(self._flow.throw, error)

        return resume
