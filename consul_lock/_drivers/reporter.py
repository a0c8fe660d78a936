"""The reporter of a client: events for its listeners, and records for the log."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from consul_lock._drivers.event_log import log, write
from consul_lock._drivers.event_queue import EventQueue, Listener
from consul_lock._protocol.reporter import WARNING, Reporter

if TYPE_CHECKING:
    from consul_lock.events import Event

DRAIN_MAX = 1.0
"""Seconds that closing a client waits for its listeners."""


class ClientReporter(Reporter):
    """Takes the reports of one client; the listeners are called by the thread of `EventQueue`."""

    in_tasks = False
    """Whether a listener may be a coroutine function."""

    def __init__(self, beside: Callable[[Callable[[], None]], bool] = lambda write: False) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._beside = beside
        """Lets a record be written beside the caller, where it must not wait for the log; whether
        it does."""
        self._queue = EventQueue()
        # Each acquire and release asks, so without a function in between.
        self.logs = log.isEnabledFor  # type: ignore[method-assign] # see above

    def listen(self, listeners: Sequence[Listener]) -> None:
        """These want all events of the client."""
        self._listeners, self.listens = tuple(listeners), bool(listeners)

    @property
    def dropped(self) -> int:
        """Events that no listener has seen, as too many waited."""
        return self._queue.dropped

    @property
    def errors(self) -> int:
        """Exceptions that listeners have raised."""
        return self._queue.failures.count

    # -- reports -----------------------------------------------------------------------------

    def report(
        self, event: str, level: int, about: Mapping[str, Any], listeners: Sequence[Listener] = ()
    ) -> None:
        known = self._listeners
        self.publish(event, about, (*known, *(each for each in listeners if each not in known)))
        self.record(event, level, about)

    def record(self, event: str, level: int, about: Mapping[str, Any]) -> None:
        if not log.isEnabledFor(level):
            return
        if level < WARNING or not self._beside(lambda: write(event, level, about)):
            write(event, level, about)

    def publish(
        self, event: str, about: Mapping[str, Any], listeners: Sequence[Listener] | None = None
    ) -> None:
        told = self._listeners if listeners is None else tuple(listeners)
        if told:
            self._put(_kinds()[event](**about, at=time.time()), told)

    def _put(self, event: Event, listeners: Sequence[Listener]) -> None:
        self._queue.put(event, listeners)

    # -- the end -----------------------------------------------------------------------------

    def end(self) -> None:
        """Nothing is reported any more; what waits is still passed on."""
        self._queue.end()

    def close(self) -> None:
        """Wait for the listeners, for a while, and call none of them after that."""
        self._queue.end()
        self._queue.wait(DRAIN_MAX)
        self._queue.stop()

    def forked(self) -> None:
        """In a forked child: the thread of the parent is not here, nor are its events its own."""
        self._queue.forget()
        self._queue = EventQueue()


@functools.cache
def _kinds() -> dict[str, type[Event]]:
    """The events by their names; loaded when somebody listens, as most programs do not."""
    from consul_lock import events

    found: list[type[Event]] = [getattr(events, name) for name in events.__all__]
    return {each.event: each for each in found if each.event}


def is_async(listener: Any) -> bool:
    """Whether a listener is a coroutine function, or an object that is called like one."""
    while isinstance(listener, functools.partial):
        listener = listener.func
    call = type(listener).__call__
    return inspect.iscoroutinefunction(listener) or inspect.iscoroutinefunction(call)
