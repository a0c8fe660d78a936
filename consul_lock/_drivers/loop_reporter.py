"""The reporter of a client for asyncio: coroutine functions may listen, too, in a task."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from consul_lock._drivers.clock import clock
from consul_lock._drivers.event_queue import EVENTS_MAX, NAME, Listener
from consul_lock._drivers.reporter import DRAIN_MAX, ClientReporter, is_async

if TYPE_CHECKING:
    from consul_lock.events import Event

# Seconds between looks whether the listeners are through: the first, doubled each time, and the
# most.
_LOOK_FIRST, _LOOK_MAX = 0.001, 0.05


class LoopReporter(ClientReporter):
    """Calls functions on the thread, and coroutine functions in a task, which ends when there is
    nothing to be done."""

    in_tasks = True

    def __init__(self) -> None:
        super().__init__()
        self._begin()

    def _begin(self) -> None:
        self._waiting: deque[tuple[Event, Sequence[Listener]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._dropped = 0
        self._ended = False

    @property
    def dropped(self) -> int:
        return super().dropped + self._dropped

    def _put(self, event: Event, listeners: Sequence[Listener]) -> None:
        awaited = tuple(each for each in listeners if is_async(each))
        called = tuple(each for each in listeners if each not in awaited)
        if called:
            super()._put(event, called)
        if awaited:
            self._put_for_task(event, awaited)

    def _put_for_task(self, event: Event, listeners: Sequence[Listener]) -> None:
        if self._ended:
            self._dropped += 1
            return
        if len(self._waiting) >= EVENTS_MAX:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append((event, listeners))
        if self._task is None or self._task.done():
            # In a context of its own, not in that of the task to which it happened; and not by
            # the program's task factory, as an eager one would call the listener here and now.
            self._task = asyncio.Task(
                self._serve(),
                loop=asyncio.get_running_loop(),
                name=NAME,
                context=contextvars.Context(),
            )

    async def _serve(self) -> None:
        while self._waiting:
            event, listeners = self._waiting.popleft()
            for listener in listeners:
                try:
                    await listener(event)
                except (KeyboardInterrupt, GeneratorExit):
                    raise  # it strikes here, but is the program's, or the end of the loop
                except BaseException as error:
                    if _is_cancelled():
                        raise
                    self._queue.failures.note(listener, error)

    def end(self) -> None:
        self._ended = True
        super().end()

    async def drain(self, caller: asyncio.Task[Any] | None) -> None:
        """Wait for the listeners, for a while, and call none of them after that.  ``caller`` is
        the task that closes the client: it may be a listener itself."""
        self.end()
        until, pause = clock() + DRAIN_MAX, _LOOK_FIRST
        try:
            while (self._queue.at_work or self._at_work(caller)) and clock() < until:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LOOK_MAX)
        finally:
            self._dropped += len(self._waiting)
            self._waiting.clear()
            if self._task is not None and self._at_work(caller):
                self._task.cancel()
            self._queue.stop()

    def _at_work(self, caller: asyncio.Task[Any] | None) -> bool:
        return self._task is not None and not self._task.done() and self._task is not caller

    def forked(self) -> None:
        super().forked()
        self._begin()


def _is_cancelled() -> bool:
    """Whether this task was cancelled: what a listener awaits may have been, too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
