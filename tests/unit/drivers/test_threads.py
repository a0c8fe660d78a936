"""The driver for threads: what it does with effects, and with a flow that is cut off."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consul_lock._drivers import threads
from consul_lock._drivers.clock import clock
from consul_lock._drivers.threads import ThreadDriver, close_all
from consul_lock._protocol.flow import (
    Batch,
    Call,
    Flow,
    Job,
    Now,
    Sleep,
    Spawn,
    Wait,
    Wall,
    Warn,
)
from consul_lock.config import Config
from consul_lock.errors import Unavailable
from tests.support.waiting import eventually


@pytest.fixture
def driver() -> Iterator[ThreadDriver]:
    """One that never sends anything."""
    made = ThreadDriver(Config())
    yield made
    made.on_end(_nothing)
    made.close()


def _nothing() -> Flow[None]:
    yield Now()


def _of(*effects: Any) -> Flow[list[Any]]:
    """A flow that yields these, and returns their results."""
    results = list[Any]()
    for effect in effects:
        result = yield effect
        results.append(result)
    return results


def test_an_effect_has_its_result(driver: ThreadDriver) -> None:
    """Clocks, waits, calls, pauses."""
    signal, called = driver.signal(), list[int]()
    before, wall = clock(), time.time()
    now, at, unset, _, _, is_set, none, _ = driver.run(
        Job(
            _of(
                Now(),
                Wall(),
                Wait(signal, 0.0),
                Call(called.append, (7,)),
                Call(signal.set, ()),
                Wait(signal, None),
                Batch(()),
                Sleep(0.0, 0.001),
            )
        )
    )
    assert before <= now <= clock()
    assert wall <= at
    assert (unset, is_set, none, called) == (False, True, (), [7])


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(3)], ids=repr)
def test_an_exception_of_a_users_function_is_logged_and_changes_nothing(
    driver: ThreadDriver, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """With its traceback."""

    def fail() -> None:
        raise error

    assert driver.run(Job(_of(Call(fail, ())))) == [None]
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_a_warning_is_logged_with_its_event(
    driver: ThreadDriver, caplog: pytest.LogCaptureFixture
) -> None:
    """By which those who read logs with a program sort them."""
    error = ValueError("odd")
    driver.run(Job(_of(Warn("text", "word", error))))
    [record] = caplog.records
    assert (record.name, record.levelno, record.message) == ("consul_lock", logging.WARNING, "text")
    assert record.__dict__["event"] == "word"
    assert record.exc_info == (ValueError, error, None)


def test_an_error_of_an_effect_is_raised_in_the_flow(driver: ThreadDriver) -> None:
    """Which may go on; what is no effect is such an error, too."""

    def flow() -> Flow[str]:
        try:
            yield "nonsense"  # type: ignore[misc] # that it is none is the point
        except TypeError as error:
            yield Now()
            return str(error)
        return ""

    assert driver.run(Job(flow())) == "'nonsense' is no effect"


def test_a_flow_beside_another_has_a_thread_of_its_own(
    driver: ThreadDriver, caplog: pytest.LogCaptureFixture
) -> None:
    """Named, and a daemon; what it ends in is logged."""
    found, done = list[threading.Thread](), threading.Event()

    def beside() -> Flow[None]:
        yield Call(lambda: found.append(threading.current_thread()), ())
        yield Call(done.set, ())
        raise ValueError("odd")

    driver.run(Job(_of(Spawn(beside(), "beside"))))
    assert done.wait(30)
    assert (found[0].name, found[0].daemon) == ("beside", True)
    assert found[0] is not threading.current_thread()
    eventually(lambda: "beside ended with an error; please report it" in caplog.text)


# -- flows that are cut off


class Interrupted(BaseException):
    """As Ctrl-C."""


def _interrupt() -> Flow[None]:
    yield Wait(_Interrupting(), None)  # type: ignore[arg-type] # what waits may raise anything


class _Interrupting:
    def wait(self, timeout: float | None) -> bool:
        raise Interrupted


def _undone(seen: list[threading.Thread]) -> Callable[[], Flow[None]]:
    def undo() -> Flow[None]:
        yield Now()
        seen.append(threading.current_thread())

    return undo


@pytest.mark.parametrize("error", [Interrupted, SystemExit, ValueError])
def test_any_exception_is_followed_by_the_undo(
    driver: ThreadDriver, error: type[BaseException]
) -> None:
    """On a thread of its own, where no signal strikes, and before the exception goes on."""
    undone = list[threading.Thread]()

    def flow() -> Flow[None]:
        yield Now()
        raise error

    with pytest.raises(error):
        driver.run(Job(flow(), _undone(undone)))
    [thread] = undone
    assert thread is not threading.current_thread()
    assert not driver.busy()


class _StruckOutside:
    """A flow whose driver is interrupted just before it goes on with it."""

    def __init__(self) -> None:
        self.ended = False

    def send(self, value: object) -> Any:
        raise Interrupted

    def close(self) -> None:
        self.ended = True


def test_a_flow_that_was_cut_off_from_outside_is_ended_before_its_undo(
    driver: ThreadDriver,
) -> None:
    """It may not go on beside it."""
    flow, ended = _StruckOutside(), list[bool]()

    def undo() -> Flow[None]:
        yield Call(lambda: ended.append(flow.ended), ())

    with pytest.raises(Interrupted):
        driver.run(Job(flow, undo))  # type: ignore[arg-type] # as much of one as is used
    assert ended == [True]


def test_a_good_end_is_not_undone(driver: ThreadDriver) -> None:
    """Nor is a call undone that has nothing to undo."""
    undone = list[threading.Thread]()
    assert driver.run(Job(_of(Now()), _undone(undone)))
    with pytest.raises(Interrupted):
        driver.run(Job(_interrupt()))
    assert undone == []


def test_an_undo_that_takes_longer_goes_on_behind_its_caller(driver: ThreadDriver) -> None:
    """Where Consul has failed, the caller does not wait past its own limit."""
    leave, undone = threading.Event(), list[threading.Thread]()

    def undo() -> Flow[None]:
        yield Call(leave.wait, (30,))
        yield from _undone(undone)()

    def flow() -> Flow[None]:
        yield Now()
        raise Unavailable("no", kind="refused")

    with pytest.raises(Unavailable):
        driver.run(Job(flow(), undo, lambda: 0.0))
    assert undone == []
    assert driver.busy()
    leave.set()
    eventually(lambda: undone and not driver.busy())


# -- the end


def test_closing_runs_the_last_flow_once_and_raises_what_it_ended_in(
    driver: ThreadDriver,
) -> None:
    """For each that closes it."""
    runs, error = list[int](), Unavailable("no", kind="refused")

    def end() -> Flow[None]:
        yield Call(runs.append, (1,))
        raise error

    driver.on_end(end)
    with pytest.raises(Unavailable) as caught:
        driver.close()
    assert caught.value is error
    driver.close()
    assert runs == [1]
    assert driver.closed


def test_a_pause_of_a_call_ends_when_the_client_closes(driver: ThreadDriver) -> None:
    """In an error that says so."""
    driver.hang_up()
    with pytest.raises(Unavailable, match="the client is closed"):
        driver.run(Job(_of(Sleep(60.0, 60.0))))


def test_a_client_that_cannot_be_closed_does_not_keep_the_others_open(
    driver: ThreadDriver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of the interpreter: its error is logged."""

    def fail() -> Flow[None]:
        yield Now()
        raise ValueError("odd")

    drivers = [driver, ThreadDriver(Config())]
    monkeypatch.setattr(threads, "_open", weakref.WeakSet(drivers))
    for each in drivers:
        each.on_end(fail)
    close_all()
    assert all(each.closed for each in drivers)
    assert caplog.text.count("a client could not be closed") == 2
