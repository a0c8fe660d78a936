"""The reporter for asyncio: functions are called by a thread, coroutine functions by a task."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from consul_lock._drivers.event_queue import EVENTS_MAX, NAME
from consul_lock._drivers.loop_reporter import LoopReporter
from consul_lock._protocol.reporter import DEBUG
from consul_lock.events import Event

_ABOUT: dict[str, Any] = {"name": "deploy", "kind": "lock", "holder": None}


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test, run on a loop of its own."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


async def _wait(event: Event) -> None:
    await asyncio.Event().wait()


@on_a_loop
async def test_each_kind_of_listener_is_called_in_its_own_way() -> None:
    """The function beside the loop, the coroutine function on it; each in order."""
    reporter = LoopReporter()
    seen: list[tuple[str, str]] = []

    def function(event: Event) -> None:
        seen.append((event.name, threading.current_thread().name))

    async def coroutine(event: Event) -> None:
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        seen.append((event.name, f"task {task.get_name()}"))

    reporter.listen([function, coroutine])
    for number in range(3):
        reporter.report("waiting", DEBUG, {**_ABOUT, "name": str(number)})
    await reporter.drain(None)
    for where in (NAME, f"task {NAME}"):
        assert [name for name, place in seen if place == where] == ["0", "1", "2"]
    assert (reporter.dropped, reporter.errors) == (0, 0)


@on_a_loop
async def test_one_that_never_ends_is_cancelled_after_the_time_that_closing_waits() -> None:
    """What is left counts as dropped, and nothing is taken any more."""
    reporter = LoopReporter()
    reporter.listen([_wait])
    for _ in range(3):
        reporter.report("waiting", DEBUG, _ABOUT)
    await asyncio.sleep(0)
    await reporter.drain(None)
    reporter.report("waiting", DEBUG, _ABOUT)
    assert reporter.dropped == 3
    task = reporter._task
    assert task is not None
    with pytest.raises(asyncio.CancelledError):
        await task


@on_a_loop
async def test_the_oldest_are_dropped_while_a_coroutine_waits() -> None:
    """As for a function that blocks."""
    reporter = LoopReporter()
    go, seen = asyncio.Event(), list[str]()

    async def listen(event: Event) -> None:
        seen.append(event.name)
        await go.wait()

    reporter.listen([listen])
    reporter.report("waiting", DEBUG, {**_ABOUT, "name": "first"})
    await asyncio.sleep(0)
    for number in range(EVENTS_MAX + 2):
        reporter.report("waiting", DEBUG, {**_ABOUT, "name": str(number)})
    assert reporter.dropped == 2
    go.set()
    await reporter.drain(None)
    assert seen == ["first", *map(str, range(2, EVENTS_MAX + 2))]


@on_a_loop
async def test_one_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, and counted."""
    reporter = LoopReporter()

    async def fails(event: Event) -> None:
        raise ZeroDivisionError

    reporter.listen([fails])
    for _ in range(3):
        reporter.report("waiting", DEBUG, _ABOUT)
    await reporter.drain(None)
    assert reporter.errors == 3
    assert caplog.text.count("Traceback") == 1


@on_a_loop
async def test_no_exception_of_a_listener_ends_the_loop_or_the_task() -> None:
    """Such as the end of the program, or that what it awaited was cancelled."""
    reporter = LoopReporter()
    seen: list[Event] = []

    async def fails(event: Event) -> None:
        seen.append(event)
        if len(seen) == 1:
            raise SystemExit(3)
        cancelled = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        await cancelled

    reporter.listen([fails])
    for _ in range(3):
        reporter.report("waiting", DEBUG, _ABOUT)
    await reporter.drain(None)
    assert (len(seen), reporter.errors, reporter.dropped) == (3, 3, 0)


@on_a_loop
async def test_the_task_is_not_made_by_the_factory_of_the_program() -> None:
    """An eager one would call the listener at once, within the acquire."""
    reporter = LoopReporter()
    seen: list[Event] = []

    async def listen(event: Event) -> None:
        seen.append(event)

    def factory(loop: Any, coroutine: Any, **more: Any) -> Any:
        coroutine.close()
        raise AssertionError("it was asked for a task")

    reporter.listen([listen])
    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        reporter.report("waiting", DEBUG, _ABOUT)
        assert seen == []
        await reporter.drain(None)
    finally:
        loop.set_task_factory(None)
    assert len(seen) == 1


@on_a_loop
async def test_a_listener_that_closes_does_not_wait_for_itself() -> None:
    """It is the task that closes, and may go on after it."""
    reporter = LoopReporter()
    done = asyncio.Event()

    async def close(event: Event) -> None:
        await reporter.drain(asyncio.current_task())
        done.set()

    reporter.listen([close])
    reporter.report("waiting", DEBUG, _ABOUT)
    await asyncio.wait_for(done.wait(), 60)


@on_a_loop
async def test_a_task_ends_with_the_last_event_and_the_next_one_has_another() -> None:
    """So that nothing is pending when the loop ends."""
    reporter = LoopReporter()
    seen: list[str] = []

    async def listen(event: Event) -> None:
        seen.append(event.name)

    reporter.listen([listen])
    for _ in range(2):
        reporter.report("waiting", DEBUG, _ABOUT)
        task = reporter._task
        assert task is not None
        await task
    assert seen == ["deploy", "deploy"]
    reporter.forked()
    assert reporter._task is None
