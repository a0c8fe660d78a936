"""The decorator `@locked`."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from consul_lock import ConfigError, LockLost, LockTimeout
from tests.contract.fixture import Room
from tests.support.waiting import eventually


class Work:
    """A function to decorate, which remembers what it was called with."""

    def __init__(self, room: Room, **options: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._room = room
        self._actor = room.actor()
        client = room.client(self._actor)
        decorate = room.api.locked(room.name, client=client.thing, **options)
        self._decorated = decorate(room.face.function(self._body))

    def __call__(self, *args: Any) -> Any:
        return self._actor.do(self._decorated, *args)

    def start(self, *args: Any) -> Any:
        return self._actor.start(self._decorated, *args)

    def _body(self, *args: Any) -> Any:
        self.calls.append(args)
        assert self._room.owner()
        for arg in args:
            if isinstance(arg, BaseException):
                raise arg
            if callable(arg):
                arg()
        return f"did {len(args)}"


def test_the_function_runs_under_the_lock_each_time(room: Room) -> None:
    """Its arguments and its result pass through, and afterwards the lock is free."""
    work = Work(room)
    assert work(1, 2) == "did 2"
    assert work() == "did 0"
    assert work.calls == [(1, 2), ()]
    assert not room.lock().locked()


def test_by_default_it_waits(room: Room) -> None:
    """As long as it takes."""
    holder, work = room.holding(), Work(room)
    running = work.start()
    room.in_line(1)
    assert work.calls == []
    holder.release()
    assert running.result(120) == "did 0"


@pytest.mark.parametrize("timeout", [None, 0.2], ids=str)
def test_raise_raises_after_its_timeout(room: Room, timeout: float | None) -> None:
    """LockTimeout, and the function is not run."""
    holder, work = room.holding(), Work(room, on_busy="raise", timeout=timeout)
    with pytest.raises(LockTimeout):
        work()
    assert work.calls == []
    holder.release()
    assert work() == "did 0"


@pytest.mark.parametrize("timeout", [None, 0.2], ids=str)
def test_skip_returns_none_after_its_timeout(room: Room, timeout: float | None) -> None:
    """Somebody else does the work already."""
    holder, work = room.holding(), Work(room, on_busy="skip", timeout=timeout)
    assert work() is None
    assert work.calls == []
    holder.release()
    assert work() == "did 0"


@pytest.mark.parametrize("on_busy", ["wait", "raise", "skip"])
@pytest.mark.parametrize("error", [ZeroDivisionError(), LockTimeout("of another lock")], ids=repr)
def test_the_functions_errors_pass_through(room: Room, on_busy: str, error: Exception) -> None:
    """A LockTimeout of the function itself passes through, too, and the lock is released."""
    work = Work(room, on_busy=on_busy)
    with pytest.raises(type(error)):
        work(error)
    assert not room.lock().locked()


def test_a_loss_while_it_ran_is_raised(room: Room) -> None:
    """Its work may have been done twice: its caller gets the error."""
    work = Work(room, lock_delay=6)
    with pytest.raises(LockLost):
        work(lambda: room.operator.delete(room.key))
    assert len(work.calls) == 1


def test_the_function_keeps_its_name(room: Room) -> None:
    """Tracebacks and docs show the function, not the decorator."""

    def nightly() -> None:
        """Clean up."""

    function = functools.wraps(nightly)(room.face.function(nightly))
    decorated = room.api.locked(room.name)(function)
    assert (decorated.__name__, decorated.__doc__) == ("nightly", "Clean up.")


def test_contradictory_options_are_refused_at_once(room: Room) -> None:
    """When the module is imported, not when the job runs at night."""
    with pytest.raises(ConfigError):
        room.api.locked(room.name, timeout=5)


def test_two_calls_at_a_time_take_turns(room: Room) -> None:
    """Each call is an acquisition of its own, of whatever thread or task."""
    first, second = Work(room), Work(room)
    inside = room.lock()
    running: list[Any] = []

    def meanwhile() -> None:
        running.append(second.start())
        if room.face.name == "threads":  # the loop must not be blocked from inside
            eventually(lambda: len(inside.waiters()) == 1)
            assert second.calls == []

    assert first(meanwhile) == "did 1"
    assert running[0].result(120) == "did 0"
