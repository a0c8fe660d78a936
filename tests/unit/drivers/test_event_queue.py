"""The queue of events: in order, bounded, and nothing that a listener does matters to anybody."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consul_lock._drivers import event_queue
from consul_lock._drivers.event_queue import EVENTS_MAX, NAME, EventQueue
from tests.support.raising_log import raising_log
from tests.support.waiting import eventually

HUNG = 60.0


@pytest.fixture
def queue() -> Iterator[EventQueue]:
    """One that is closed at the end."""
    made = EventQueue()
    yield made
    made.stop()
    made.wait(HUNG)
    assert not made.at_work


class Blocked:
    """A listener that blocks at its first event until it is let go."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.entered, self.go = threading.Event(), threading.Event()

    def __call__(self, event: object) -> None:
        self.seen.append(event)
        self.entered.set()
        self.go.wait(HUNG)


def test_listeners_are_called_in_order_by_one_thread(queue: EventQueue) -> None:
    """Each event by all of its listeners, before the next one."""
    seen: list[tuple[str, object, str]] = []

    def listener(name: str) -> Callable[[object], None]:
        return lambda event: seen.append((name, event, threading.current_thread().name))

    both = (listener("a"), listener("b"))
    for number in range(50):
        queue.put(number, both)
    queue.end()
    queue.wait(HUNG)
    assert seen == [(name, number, NAME) for number in range(50) for name in "ab"]
    assert queue.dropped == 0


def test_no_thread_begins_before_the_first_event() -> None:
    """A client to which nothing happens has no thread for it."""
    before = set(threading.enumerate())
    made = EventQueue()
    assert not made.at_work
    made.end()
    assert set(threading.enumerate()) == before


def test_the_oldest_are_dropped_and_counted_while_a_listener_blocks(queue: EventQueue) -> None:
    """A thousand wait; what is put does not."""
    blocked = Blocked()
    queue.put("first", (blocked,))
    assert blocked.entered.wait(HUNG)
    for number in range(EVENTS_MAX + 7):
        queue.put(number, (blocked,))
    assert queue.dropped == 7
    blocked.go.set()
    queue.end()
    queue.wait(HUNG)
    assert blocked.seen == ["first", *range(7, EVENTS_MAX + 7)]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, BaseException]
)
def test_no_exception_of_a_listener_ends_the_thread(
    queue: EventQueue, error: type[BaseException]
) -> None:
    """What is no `Exception` is none of the thread's business either."""
    seen: list[object] = []

    def fails(event: object) -> None:
        raise error

    for number in range(3):
        queue.put(number, (fails, seen.append))
    queue.end()
    queue.wait(HUNG)
    assert seen == [0, 1, 2]
    assert queue.failures.count == 3


class Failing:
    """A listener that raises, and has attributes that do."""

    def __call__(self, event: object) -> None:
        raise ValueError(event)

    def method(self, event: object) -> None:
        raise ValueError(event)

    @property
    def __wrapped__(self) -> object:
        raise ValueError


def _made_anew() -> list[Callable[[Any], object]]:
    """The same four listeners, as another lock would be given them; one in three ways."""

    def fails(event: object) -> None:
        raise ValueError(event)

    @functools.wraps(fails)
    def decorated(event: object) -> None:
        fails(event)

    partial = functools.partial(functools.partial(fails))
    return [fails, partial, decorated, Failing(), Failing().method, lambda event: 1 / 0]


def test_a_listener_made_anew_for_each_lock_is_logged_once(
    queue: EventQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """And is not remembered for each of them; another one that raises is logged, too."""
    for number in range(10):
        queue.put(number, _made_anew())
    queue.end()
    queue.wait(HUNG)
    assert queue.failures.count == 60
    shown = [record.getMessage() for record in caplog.records]
    names = (".fails at ", "listener <tests.", "listener <bound method Failing.", ".<lambda> at ")
    assert len(shown) == 4
    assert all(name in text for name, text in zip(names, shown, strict=True))
    assert len(queue.failures._logged) == 4


def test_a_log_that_raises_does_not_end_the_thread(
    queue: EventQueue, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither does what the listener raised, nor that."""
    seen: list[object] = []

    def fails(event: object) -> None:
        raise ZeroDivisionError

    with raising_log():
        for number in range(3):
            queue.put(number, (fails, seen.append))
        queue.end()
        queue.wait(HUNG)
    assert seen == [0, 1, 2]
    assert "the disk is full" in capsys.readouterr().err


def test_what_a_listener_returns_is_left_alone(queue: EventQueue) -> None:
    """A socket can send and be closed, as a coroutine can, but it is the program's."""
    mine, other = socket.socketpair()
    with mine, other:
        queue.put(1, (lambda event: mine,))
        queue.end()
        queue.wait(HUNG)
        assert mine.fileno() >= 0
    assert queue.failures.count == 0


def test_an_interrupt_while_the_thread_is_started_stops_no_events(
    queue: EventQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just before it or just after it: the next event is followed by all that wait, each once."""
    seen: list[object] = []
    start = event_queue._thread.start_new_thread

    def before(*_: Any) -> int:
        raise KeyboardInterrupt

    def after(*given: Any) -> int:
        start(*given)
        raise KeyboardInterrupt

    for number, interrupted in enumerate((before, after)):
        with monkeypatch.context() as patched:
            patched.setattr(event_queue._thread, "start_new_thread", interrupted)
            with pytest.raises(KeyboardInterrupt):
                queue.put(number, (seen.append,))
    queue.put(2, (seen.append,))
    eventually(lambda: len(seen) == 3)
    queue.end()
    queue.wait(HUNG)
    assert seen == [0, 1, 2]


def test_a_forked_child_calls_no_more_of_the_listeners_of_its_parent(queue: EventQueue) -> None:
    """Where a listener forks, its thread is the only one of the child, and ends."""
    seen: list[object] = []

    def forks(event: object) -> None:
        seen.append(event)
        queue.forget()

    for number in range(3):
        queue.put(number, (forks, seen.append))
    eventually(lambda: not queue.at_work)
    assert seen == [0, 0]


def test_one_that_raises_is_logged_once_and_then_counted(
    queue: EventQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises; the others are called all the same."""
    seen: list[object] = []

    def fails(event: object) -> None:
        raise SystemExit(3) if event == 2 else ZeroDivisionError(event)

    for number in range(4):
        queue.put(number, (fails, seen.append))
    queue.end()
    queue.wait(HUNG)
    assert seen == [0, 1, 2, 3]
    assert queue.failures.count == 4
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_a_coroutine_that_nobody_awaits_is_an_error(
    queue: EventQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """Python would only warn when it is collected."""

    async def listen(event: object) -> None:
        raise AssertionError(event)

    queue.put(1, (functools.partial(listen),))
    queue.end()
    queue.wait(HUNG)
    assert queue.failures.count == 1
    assert "write async def" in caplog.text


def test_after_the_time_is_over_no_listener_is_called(queue: EventQueue) -> None:
    """What is left counts as dropped, and nothing is taken any more."""
    blocked = Blocked()
    for number in range(5):
        queue.put(number, (blocked,))
    assert blocked.entered.wait(HUNG)
    queue.end()
    queue.wait(0.01)
    assert queue.at_work
    queue.stop()
    queue.put("late", (blocked,))
    blocked.go.set()
    eventually(lambda: not queue.at_work)
    assert blocked.seen == [0]
    assert queue.dropped == 5


def test_a_listener_may_end_the_queue_and_does_not_wait_for_itself(queue: EventQueue) -> None:
    """It may close the client, say after a loss."""
    done = threading.Event()

    def close(event: object) -> None:
        queue.end()
        queue.wait(HUNG)
        queue.stop()
        done.set()

    queue.put(1, (close,))
    assert done.wait(HUNG)


def test_a_thread_that_waits_keeps_no_listener_alive(queue: EventQueue) -> None:
    """A listener may well refer to its client, which is closed when it is collected."""

    class Listener:
        def __call__(self, event: object) -> None:
            seen.append(event)

    seen: list[object] = []
    listener = Listener()
    known = weakref.ref(listener)
    queue.put(1, (listener,))
    eventually(lambda: seen)
    del listener

    def collected() -> bool:
        gc.collect()
        return known() is None

    eventually(collected)
    assert queue.at_work


def test_where_no_thread_can_be_started_the_next_event_tries_again(
    queue: EventQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of the interpreter, or with no memory left."""
    seen: list[object] = []

    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(event_queue._thread, "start_new_thread", refuse)
        queue.put(1, (seen.append,))
    assert not queue.at_work
    queue.put(2, (seen.append,))
    eventually(lambda: seen == [1, 2])
