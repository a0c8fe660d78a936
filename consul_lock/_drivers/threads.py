"""The driver for threads: performs a flow on the calling thread.

Beside the callers' own threads there is one keeper a client, and one for each lock that is
held with ``watch=True``.
"""

from __future__ import annotations

import _thread
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from consul_lock._drivers.clock import clock
from consul_lock._drivers.connection import Connection
from consul_lock._drivers.connection_pool import SHORT
from consul_lock._drivers.end import close_with_child, is_at_end
from consul_lock._drivers.event_log import PREFIX, put_record
from consul_lock._drivers.fork import forget_after_fork, notice_fork
from consul_lock._drivers.http import client_closed
from consul_lock._drivers.jitter import between, fraction
from consul_lock._drivers.reporter import ClientReporter
from consul_lock._drivers.thread_event import ThreadEvent
from consul_lock._drivers.thread_transport import ThreadTransport
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
from consul_lock.config import Config
from consul_lock.errors import ConsulLockError

log = logging.getLogger("consul_lock")

T = TypeVar("T")

# Seconds that closing waits for clean-ups under way.
_CLEAN_UP = 5.0

# What a client can do without, when the interpreter ends.
_UNTIL_THE_END = {"consul-lock-keeper", "consul-lock-watchdog"}

# Every driver that may have something to close; see `close_all`.
_open: weakref.WeakSet[ThreadDriver] = weakref.WeakSet()


class _Call(NamedTuple):
    """A call under way, or one that is still to be undone."""

    job: Job[Any]
    thread: int


class ThreadDriver:
    """Performs flows, and supplies everything else that flows of threads need.

    **Calls and Ctrl-C.**  The exception of a signal handler strikes the main thread between any
    two bytecodes, also in an ``except`` block that is about to clean up after an earlier one.
    So nothing may depend on code that runs *after* the exception.  A call is noted in `_calls`,
    under the frame of its `run`, before its flow begins, and removed after a good end:

        note, flow, flow, flow, remove, return       a good end
        note, flow, X                                noted, and the frame is over: to be undone
        note, flow, X, start of the undo, X          the same

    Each of these steps is one C call, and CPython looks for signals at the beginning of a
    function, after a call and when a loop jumps back: not between the removal and the
    ``return``.  So a call that is noted although its frame has ended was cut off.  The first of
    these that finds it undoes it: the call itself if it can, the next call of the thread, the
    keeper at its next turn, `close`, the end of the interpreter.  An undo runs on a thread of its
    own, where no signal handler raises anything.  `frame.clear` shows whether a frame has ended,
    for threads and greenlets: it refuses one that is executing.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.holding: Callable[[], bool] = lambda: False
        """Whether the client holds anything, for what is kept open."""
        self.reporter = ClientReporter(self._write_beside)
        self._on_fork: Callable[[], None] = lambda: None
        self._on_end: Callable[[], Flow[None]] | None = None
        self._begin()
        forget_after_fork(self)
        _open.add(self)

    def _begin(self) -> None:
        self._transport = ThreadTransport(self._config, clock, self._holds)
        self._helpers: dict[threading.Thread, None] = {}
        self._calls: dict[FrameType, _Call] = {}
        self._undoing: dict[FrameType, ThreadEvent] = {}
        """The undos under way; each is set when it has ended."""
        self._ending = ThreadEvent()
        """The client closes: calls wait for nothing any more."""
        self._ended = ThreadEvent()
        self._closer = threading.Lock()
        """Held by the thread that closes."""
        self._closing_for = 0
        self._failure: Exception | None = None

    # -- what flows need beside effects ----------------------------------------------------

    def mutex(self) -> AbstractContextManager[Any]:
        return threading.RLock()

    def signal(self) -> ThreadEvent:
        return ThreadEvent()

    def random(self) -> float:
        return fraction()

    def _holds(self) -> bool:
        return self.holding()

    # -- running -------------------------------------------------------------------------

    def run(self, job: Job[T]) -> T:
        """Run a flow to its end; after any exception its clean-up is run, wherever it struck."""
        notice_fork()
        if job.undo is None:
            return self._ask(job.flow)
        calls, me, transport = self._calls, threading.get_ident(), self._transport
        if calls:
            self._undo_own(me)
        if transport.without_answer:
            transport.forget(me)
        calls[sys._getframe()] = _Call(job, me)
        try:
            result = self._drive(job.flow)
            del calls[sys._getframe()]
            return result  # no signal strikes between these two lines
        except BaseException as error:
            self._undo_beside(sys._getframe(), job.grace(error, clock()))
            raise

    def _ask(self, flow: Flow[T]) -> T:
        """A call after which nothing has to be undone."""
        try:
            return self._drive(flow)
        except BaseException:
            self._transport.forget(threading.get_ident())
            raise

    def _drive(self, flow: Flow[T]) -> T:
        step, value = flow.send, None
        perform = self._perform
        while True:
            try:
                effect = step(value)
            except StopIteration as stop:
                result: T = stop.value
                return result
            try:
                value = perform(effect)
                step = flow.send
            except BaseException as error:
                if self._transport.unanswered(threading.get_ident()) is not None:
                    raise  # the flow stays where it is: it gets the answer before the undo
                value, step = error, flow.throw

    def _perform(self, effect: Effect) -> Any:
        kind = type(effect)
        if kind is Request:
            return self._transport.send(effect)  # type: ignore[arg-type] # its kind says so
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
                self._sleep(between(low, high))
            case Wait(signal, timeout):
                if _in_keeper() and (timeout is None or timeout > SHORT):
                    self._transport.rest()
                return signal.wait(timeout)  # type: ignore[attr-defined] # the driver's can wait
            case Spawn(flow, name):
                self._spawn(flow, name)
            case Call(function, args) if _in_helper():
                self._call_beside(function, args)
            case Call(function, args):
                self._call(function, args)
            case Warn(text, event, error):
                more = {"event": event, f"{PREFIX}event": event}
                put_record(logging.WARNING, text, extra=more, exc_info=error)
            case _:
                raise TypeError(f"{effect!r} is no effect")
        return None

    def _write_beside(self, write: Callable[[], None]) -> bool:
        """Write a record beside the keeper or the watchdog, as a handler of the log may block;
        False: this is neither, or no thread can be started."""
        if not _in_helper():
            return False
        try:
            self._start(write, "consul-lock-log")
        except RuntimeError:
            return False
        return True

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except (Exception, SystemExit):  # noqa: BLE001 - it changes nothing
            text = "%r raised an exception, which changes nothing"
            put_record(logging.ERROR, text, function, exc_info=True)

    def _call_beside(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """One that takes its time must not keep the keeper from renewing, nor the watchdog from
        reporting other losses."""
        try:
            self._start(lambda: self._call(function, args), "consul-lock-on-lost")
        except RuntimeError:
            self._call(function, args)  # no thread can be started, so call it here

    def _sleep(self, seconds: float) -> None:
        if self._is_helper():
            time.sleep(seconds)
        elif self._ending.wait(seconds):
            raise client_closed()

    # -- what runs beside the callers -----------------------------------------------------

    def _spawn(self, flow: Flow[Any], name: str) -> None:
        """Let a flow run beside the callers.

        From Python 3.12 on, no thread can be started any more once the main thread has ended: not
        by a function for the end, nor by the threads and pools that are waited for there.  What
        they acquire is not renewed, and counts until its first deadline.
        """
        try:
            self._start(lambda: self._drive(flow), name)
        except RuntimeError as error:
            if name not in _UNTIL_THE_END or not is_at_end(error):
                raise

    def _start(self, run: Callable[[], Any], name: str) -> None:
        """Start a thread.  Raises `RuntimeError` if none can be started, as at the very end of
        the interpreter.

        `threading.Thread.start` waits in Python code for the new thread to begin: an exception
        of a signal handler that strikes there can leave a lock taken that the new thread needs,
        which hangs for ever.  So a bare thread, which one C call starts, starts the real one.
        """
        close_with_child(close_all)
        _thread.start_new_thread(self._start_here, (run, name))

    def _start_here(self, run: Callable[[], Any], name: str) -> None:
        # A daemon, as it must not keep a program alive that has ended.  `close`, also run at the
        # interpreter's exit, ends it in order.
        thread = threading.Thread(target=self._live, args=(run, name), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._live(run, name)  # without a name, which only people read

    def _live(self, run: Callable[[], Any], name: str) -> None:
        me = threading.current_thread()
        self._helpers[me] = None
        try:
            run()
        except BaseException:
            if not self._transport.closed:
                log.exception("%s ended with an error; please report it", name)
        finally:
            self._helpers.pop(me, None)

    def _is_helper(self) -> bool:
        return threading.current_thread() in self._helpers

    # -- undoing what was cut off -----------------------------------------------------------

    def _undo_own(self, me: int) -> None:
        """Before the next call of a thread, undo its earlier ones that were cut off."""
        if me != threading.main_thread().ident:
            return  # no signal handler's exception strikes elsewhere
        for frame, call in list(self._calls.items()):
            # An undo that is under way was waited for already, and this call has its own time.
            if call.thread == me and frame not in self._undoing and _over(frame):
                self._undo_beside(frame)

    def catch_up(self) -> None:
        """Begin to undo every call that was cut off and left."""
        for frame in list(self._calls):
            if frame not in self._undoing and _over(frame):
                try:
                    self._start(partial(self._undo, frame), "consul-lock-undo")
                except RuntimeError:
                    self._undo(frame)

    def _undo_beside(self, frame: FrameType, patience: float = _CLEAN_UP) -> None:
        """Undo a call on a thread of its own, and wait for that for a while."""
        done = ThreadEvent()

        def undo() -> None:
            try:
                self._undo(frame)
            finally:
                done.set()

        try:
            self._start(undo, "consul-lock-undo")
        except RuntimeError:
            # The interpreter is ending and starts no more threads.
            self._undo(frame)
            return
        done.wait(patience)

    def _undo(self, frame: FrameType) -> None:
        call, done = self._calls.get(frame), ThreadEvent()
        if call is None or call.job.undo is None:
            return
        others = self._undoing.setdefault(frame, done)
        if others is not done:
            others.wait(_CLEAN_UP)
            return
        try:
            self._take_in(call)
            self._drive(call.job.undo())
        except Exception:
            self._calls.pop(frame, None)
            raise
        else:
            self._calls.pop(frame, None)
        finally:
            # If it was cut off, where it had no thread of its own, it is still to be done.
            self._undoing.pop(frame, None)
            done.set()

    def _take_in(self, call: _Call) -> None:
        """Let the flow take in the answer that it was waiting for, and end it there.

        A thread that is cut off in the middle of a write cannot know its outcome.  If the write
        is carried out after the undo has looked, the undo destroys the session while it holds
        the lock, and every waiter has to wait for a lock-delay:

            caller  write sent ... Ctrl-C
            undo                     read: nothing there ......... destroy the session
            Consul                                   write done    lock-delay

        So the undo waits for the answer first, and begins when it is known how things stand.
        """
        flow = call.job.flow
        try:
            connection = self._transport.unanswered(call.thread)
            if connection is not None:
                self._answer(flow, connection)
        except (StopIteration, ConsulLockError):
            return  # it has ended by itself
        # The exception may have struck between two steps of the flow, outside of it, too.
        flow.close()

    def _answer(self, flow: Flow[Any], connection: Connection) -> None:
        try:
            value = self._transport.finish(connection)
        except ConsulLockError as error:
            flow.throw(error)
        else:
            flow.send(value)

    # -- the end ----------------------------------------------------------------------------

    def on_end(self, close: Callable[[], Flow[None]]) -> None:
        """The flow that gives everything back, for `close`."""
        self._on_end = close

    def hang_up(self) -> None:
        """Calls wait for nothing any more: their long polls and pauses end in `Unavailable`."""
        self._ending.set()
        self._transport.hang_up()

    def busy(self) -> bool:
        """Whether calls are under way, or to be undone, except those of the closing thread itself:
        it may close in a signal handler, or in an ``on_lost``."""
        return any(
            call.thread != self._closing_for or frame in self._undoing or _over(frame)
            for frame, call in list(self._calls.items())
        )

    @property
    def closed(self) -> bool:
        """Whether it has ended: nothing is performed any more."""
        return self._transport.closed

    def close(self) -> None:
        """Give everything back, end what runs beside the callers, and close all connections.

        On a thread of its own, where no signal handler's exception reaches it: a caller that is
        interrupted leaves it at work, and the end of the interpreter waits for it again.
        """
        notice_fork()
        if self._ended.is_set():
            return
        caller = threading.current_thread()
        try:
            self._start(lambda: self._close(caller), "consul-lock-close")
        except RuntimeError:
            self._close(caller)
        try:
            self._ended.wait()
        except BaseException:
            self._ended.wait(_CLEAN_UP)
            raise
        if self._failure is not None:
            raise self._failure

    def _close(self, caller: threading.Thread) -> None:
        if self._ended.is_set() or not self._closer.acquire(blocking=False):
            return
        me = threading.current_thread()
        self._closing_for = caller.ident or 0
        try:
            # Also where no thread could be started: its pauses are not those of a call.
            self._helpers[me] = None
            self._give_back()
            self._transport.close()
            end = time.monotonic() + _CLEAN_UP
            for thread in list(self._helpers):
                if thread is me or thread is caller or isinstance(thread, threading._DummyThread):
                    continue  # the last kind cannot be joined: it began when none could be started
                thread.join(max(0.0, end - time.monotonic()))
            self.reporter.close()
            self._ended.set()
        finally:
            # If it was cut off, where it had no thread of its own, it can be done again.
            self._helpers.pop(me, None)
            self._closer.release()

    def _give_back(self) -> None:
        if self._on_end is None:
            return
        self.catch_up()
        try:
            self._drive(self._on_end())
        except Exception as error:  # noqa: BLE001 - raised by `close`, when all has ended
            self._failure = error

    def drop(self, tell: Callable[[], None]) -> None:
        """Nobody can use it any more: ``tell`` the keeper, whose last work needs no idle
        connections."""
        self.reporter.end()
        tell()
        self._transport.drop()

    def on_fork(self, forget: Callable[[], None]) -> None:
        """Call this in a forked child, which has none of the parent's threads."""
        self._on_fork = forget

    def forked(self) -> None:
        """In the child: the parent's connections are closed here, and must not be used."""
        self.reporter.forked()
        self._begin()
        self._on_fork()


def close_all() -> None:
    """Close every client: at the end of the interpreter."""
    for driver in list(_open):
        try:
            driver.close()
        except Exception:
            log.exception("a client could not be closed")  # go on with the others


def _over(frame: FrameType) -> bool:
    """Whether a frame has ended, however it ended."""
    try:
        frame.clear()
    except RuntimeError:
        return False
    return True


def _in_keeper() -> bool:
    return threading.current_thread().name == "consul-lock-keeper"


def _in_helper() -> bool:
    """Whether this thread has to be there for other locks, too."""
    return _in_keeper() or threading.current_thread().name == "consul-lock-watchdog"
