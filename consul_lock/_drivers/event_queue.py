"""The queue between what happens and those who listen, and the thread that calls them.

What happens must not wait for a listener, nor end because of one.  So an event goes into a queue,
and one thread for each client takes it out and calls the listeners in order.  Time line of a
listener that blocks:

    0 s   an event; the thread begins, and calls the listener, which waits for a database
    1 s   2000 more: the queue keeps the latest 1000, and counts those it has dropped
    9 s   the database answers; the thread goes on with those 1000

The thread begins with the first event, and ends when the client is closed, or collected: it has no
reference to client or listeners while it waits.
"""

from __future__ import annotations

import _thread
import inspect
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import CodeType
from typing import Any

from consul_lock._drivers.event_log import put_record

EVENTS_MAX = 1000
"""Events that wait for the listeners of one client."""

NAME = "consul-lock-events"

# Seconds that the thread pauses when it has nothing to do: a program that acquires and releases in
# a loop would wake it each time, which costs it more than the listeners.
_PAUSE = 0.005

Listener = Callable[[Any], Any]


class Failures:
    """What listeners have raised: logged once for each of them, and then counted.

    A function that is made anew for each lock, as a lambda is, is the same listener: what is known
    of listeners is their code.  Else each one would be logged, and remembered for good.
    """

    def __init__(self) -> None:
        self.count = 0
        self._logged: set[object] = set()

    def note(self, listener: Listener, error: BaseException) -> None:
        """A listener has raised this."""
        self.count += 1
        if (code := _code_of(listener)) not in self._logged:
            self._logged.add(code)
            text = "the listener %r raised an exception, which changes nothing"
            put_record(logging.ERROR, text, listener, exc_info=error)


def _code_of(listener: Listener) -> object:
    """That of a function or method, also within a `functools.partial`; else the object's type."""
    function: Any = listener
    while isinstance(function, partial):
        function = function.func
    try:
        code = getattr(inspect.unwrap(function), "__code__", None)
    except Exception:  # noqa: BLE001 - attributes of others may do anything
        code = None
    return code if isinstance(code, CodeType) else type(function)


class EventQueue:
    """The queue of one client, and its thread."""

    def __init__(self) -> None:
        self.dropped = 0
        """Events that no listener has seen, as too many waited, or the client was closed."""
        self.failures = Failures()
        self._items: queue.SimpleQueue[tuple[Any, Sequence[Listener]] | None] = queue.SimpleQueue()
        # Taken again by a signal handler that strikes while it is held.
        self._mutex = threading.RLock()
        self._begun = False
        """A thread was started, as far as is known."""
        self._ended = False
        self._stopped = False
        self._serving = threading.Lock()
        """Taken by the thread that calls the listeners, for good."""
        self._over = threading.Lock()
        """Free once that thread has ended."""
        self._over.acquire()
        self._thread = 0

    def put(self, event: Any, listeners: Sequence[Listener]) -> None:
        """Let these listeners be called with an event; if too many wait, the oldest is dropped."""
        with self._mutex:
            if self._ended:
                self.dropped += 1
                return
            if self._items.qsize() >= EVENTS_MAX:
                self._drop_oldest()
            self._items.put((event, listeners))
        if not self._begun:
            self._begin()

    def _drop_oldest(self) -> None:
        try:
            self._items.get_nowait()
        except queue.Empty:
            return  # the thread has taken the last one just now
        self.dropped += 1

    def _begin(self) -> None:
        # A bare thread starts the real one, as in the driver: `Thread.start` waits in Python code,
        # which an exception of a signal handler could break.  One that strikes between these two
        # lines lets the next event start another thread, which finds the first one at work.
        try:
            _thread.start_new_thread(_start, (self._serve,))
        except RuntimeError:
            return  # none can be started, as at the end of the interpreter: the next event tries it
        self._begun = True

    def _serve(self) -> None:
        if not self._serving.acquire(blocking=False):
            return
        self._thread = threading.get_ident()
        try:
            while not self._stopped and (item := self._take()) is not None:
                event, listeners = item
                for listener in listeners:
                    self._call(listener, event)
                # While it waits it keeps nothing alive: a listener may well refer to its client.
                item = event = listeners = listener = None  # type: ignore[assignment] # see above
                if self._items.empty() and not self._ended:
                    time.sleep(_PAUSE)
        finally:
            self._over.release()

    def _take(self) -> tuple[Any, Sequence[Listener]] | None:
        item = self._items.get()
        return None if self._stopped else item

    def _call(self, listener: Listener, event: Any) -> None:
        try:
            result = listener(event)
            if inspect.iscoroutine(result):
                result.close()
                raise TypeError("it returned a coroutine, which nobody awaits: write async def")
        except BaseException as error:  # noqa: BLE001 - no listener changes anything
            self.failures.note(listener, error)

    @property
    def at_work(self) -> bool:
        """Whether its thread runs still, and is another one than this."""
        return self._begun and self._over.locked() and threading.get_ident() != self._thread

    def end(self) -> None:
        """Nothing is taken any more; the thread ends once it has called the listeners with what is
        in the queue."""
        with self._mutex:
            if not self._ended:
                self._ended = True
                self._items.put(None)

    def wait(self, seconds: float) -> None:
        """Wait for the thread to end, for so long."""
        if self.at_work and self._over.acquire(timeout=seconds):
            self._over.release()

    def stop(self) -> None:
        """The time is over: no listener is called any more, and what is left counts as dropped."""
        self.end()
        self._stopped = True
        left = []
        try:
            while True:
                left.append(self._items.get_nowait())
        except queue.Empty:
            pass
        with self._mutex:
            self.dropped += sum(item is not None for item in left)
        self._items.put(None)  # for the thread, if it is at work still

    def forget(self) -> None:
        """In a forked child: a listener that has forked, and goes on here, is the last one that is
        called.  The queue itself is left alone, as another thread of the parent may have used it.
        """
        self._ended = self._stopped = True


def _start(run: Callable[[], None]) -> None:
    # A daemon: a listener that blocks must not keep a program alive that has ended.
    thread = threading.Thread(target=partial(run), name=NAME, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        run()  # without a name, which only people read
