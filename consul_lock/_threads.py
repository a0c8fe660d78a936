"""The driver for threads: performs a flow on the calling thread.

Beside the callers' own threads there is one keeper a client, and one for each lock that is
held with ``watch=True``.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from consul_lock._clock import clock
from consul_lock._fork import forget_after_fork
from consul_lock._idle import SHORT
from consul_lock._protocol.flow import (
    Batch,
    Call,
    Effect,
    Flow,
    Job,
    Now,
    Request,
    Sleep,
    Spawn,
    Wait,
    Wall,
    Warn,
)
from consul_lock._signal import Signal
from consul_lock._transport import Transport
from consul_lock.config import Config

log = logging.getLogger("consul_lock")

# Seconds that closing waits for clean-ups under way.
_CLEAN_UP = 5.0


class ThreadDriver:
    """Performs flows, and supplies what else the flows of threads need."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.holding: Callable[[], bool] = lambda: False
        """Whether the client holds anything, for what is kept open."""
        self._transport = Transport(config, clock, self._holds)
        self._helpers: dict[threading.Thread, None] = {}
        # So that `close` sees no thread between being noted and being started.
        self._starting = threading.RLock()
        self._on_fork: Callable[[], None] = lambda: None
        forget_after_fork(self)

    # -- what flows need beside effects ----------------------------------------------------

    def mutex(self) -> AbstractContextManager[Any]:
        return threading.RLock()

    def signal(self) -> Signal:
        return Signal()

    def random(self) -> float:
        return random.random()

    def _holds(self) -> bool:
        return self.holding()

    # -- running -------------------------------------------------------------------------

    def run(self, job: Job) -> Any:
        """Run a flow to its end; after any exception run its clean-up, and raise."""
        try:
            return self._drive(job.flow)
        except BaseException as error:
            # A signal handler's exception may have struck between the steps of the flow.
            job.flow.close()
            if job.undo is not None:
                self._clean_up(job.undo, job.grace(error, clock()))
            raise

    def _drive(self, flow: Flow[Any]) -> Any:
        step, value = flow.send, None
        perform = self._perform
        while True:
            try:
                effect = step(value)
            except StopIteration as stop:
                return stop.value
            try:
                value = perform(effect)
                step = flow.send
            except BaseException as error:  # noqa: BLE001 - the flow is told of every exception
                value, step = error, flow.throw

    def _perform(self, effect: Effect) -> Any:
        kind = type(effect)
        if kind is Request:
            return self._transport.send(effect)  # type: ignore[arg-type] # told by its kind
        if kind is Now:
            return clock()
        if kind is Wall:
            return time.time()
        return self._perform_rare(effect)

    def _perform_rare(self, effect: Effect) -> Any:
        match effect:
            case Batch(requests):
                return self._transport.send_all(requests)
            case Sleep(low, high):
                time.sleep(random.uniform(low, high))
            case Wait(signal, timeout):
                if _in_keeper() and (timeout is None or timeout > SHORT):
                    self._transport.rest()
                return signal.wait(timeout)  # type: ignore[attr-defined] # ours can wait
            case Spawn(flow, name):
                self._start(lambda: self._drive(flow), name)
            case Call(function, args) if _in_helper():
                self._call_beside(function, args)
            case Call(function, args):
                self._call(function, args)
            case Warn(text, event, error):
                log.warning(text, extra={"event": event}, exc_info=error)
            case _:
                raise TypeError(f"{effect!r} is no effect")
        return None

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except (Exception, SystemExit):
            log.exception("%r raised an exception, which changes nothing", function)

    def _call_beside(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """One that takes its time must not keep the keeper from renewing, nor the watchdog from
        telling other losses."""
        try:
            self._start(lambda: self._call(function, args), "consul-lock-on-lost")
        except RuntimeError:
            self._call(function, args)  # no thread is to be had: better late than not at all

    def _start(self, run: Callable[[], Any], name: str) -> threading.Thread:
        def body() -> None:
            try:
                run()
            except BaseException:
                if not self._transport.closed:
                    log.exception("%s ended with an error; please report it", name)
            finally:
                self._helpers.pop(threading.current_thread(), None)

        # A daemon: it must not keep a program alive that has ended.  `Client.close`, also run
        # at the interpreter's exit, ends it in order.
        thread = threading.Thread(target=body, name=name, daemon=True)
        with self._starting:
            self._helpers[thread] = None
            try:
                thread.start()
            except RuntimeError:
                del self._helpers[thread]  # the interpreter is ending, see `_clean_up`
                raise
        return thread

    def _clean_up(self, undo: Callable[[], Flow[None]], patience: float) -> None:
        """On a thread of its own, as no signal handler raises its exception there."""
        try:
            thread = self._start(lambda: self._drive(undo()), "consul-lock-undo")
        except RuntimeError:
            # The interpreter is ending and starts no more threads.
            self._drive(undo())
            return
        thread.join(patience)

    @property
    def closed(self) -> bool:
        """Whether it has ended: nothing is performed any more."""
        return self._transport.closed

    def close(self) -> None:
        """End what runs beside the callers, and close all connections."""
        end = time.monotonic() + _CLEAN_UP
        for thread in [t for t in self._others() if "undo" in t.name]:
            thread.join(max(0.0, end - time.monotonic()))
        self._transport.close()
        for thread in self._others():
            thread.join(max(0.0, end - time.monotonic()))

    def _others(self) -> list[threading.Thread]:
        me = threading.current_thread()
        with self._starting:
            # One without an ident was cut off by a signal before it began.
            return [t for t in list(self._helpers) if t is not me and t.ident is not None]

    def on_fork(self, forget: Callable[[], None]) -> None:
        """Call this in a forked child, which has none of our threads."""
        self._on_fork = forget

    def forked(self) -> None:
        """In the child: the parent's connections are not ours to use."""
        self._transport.forked()
        self._transport = Transport(self._config, clock, self._holds)
        self._helpers, self._starting = {}, threading.RLock()
        self._on_fork()


def _in_keeper() -> bool:
    return threading.current_thread().name == "consul-lock-keeper"


def _in_helper() -> bool:
    """Whether this thread has to be there for other locks, too."""
    return _in_keeper() or threading.current_thread().name == "consul-lock-watchdog"
