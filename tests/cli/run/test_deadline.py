"""How long a command may run: by the lock, and after its loss by what it left."""

from __future__ import annotations

import math
import signal
import threading
from typing import Any

import pytest

from consul_lock_cli.process import libc
from consul_lock_cli.process.signals import WAKE
from consul_lock_cli.run.deadline import LockDeadline, NoDeadline


class _Lock:
    """It leaves the time that a test sets."""

    def __init__(self, left: float) -> None:
        self.left = left
        self.lost = threading.Event()

    def remaining(self) -> float:
        return self.left


class _Clock:
    time = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """Time passes when a test says so."""
    made = _Clock()
    monkeypatch.setattr("consul_lock_cli.run.deadline.now", lambda: made.time)
    return made


def _watched(lock: _Lock) -> LockDeadline:
    deadline = LockDeadline()
    made_up: Any = lock
    deadline.watch(made_up)
    return deadline


def test_without_a_lock_there_is_no_time(clock: _Clock) -> None:
    """And what was never had counts as lost."""
    deadline = LockDeadline()
    assert (deadline.remaining(), deadline.lost()) == (0.0, True)


def test_the_time_is_that_of_the_lock(clock: _Clock) -> None:
    """Each renewal gives it more."""
    lock = _Lock(10.0)
    deadline = _watched(lock)
    assert (deadline.remaining(), deadline.lost()) == (10.0, False)
    clock.time, lock.left = 105.0, 10.0
    assert deadline.remaining() == 10.0


def test_after_a_loss_the_last_deadline_stays(clock: _Clock) -> None:
    """Consul lets nobody in before, as its lock-delay runs; then there is none left."""
    lock = _Lock(10.0)
    deadline = _watched(lock)
    deadline.remaining()
    lock.left = 0.0
    lock.lost.set()
    for at, left in ((100.0, 10.0), (104.0, 6.0), (110.0, 0.0), (120.0, 0.0)):
        clock.time = at
        assert deadline.remaining() == left
    assert deadline.lost()


def test_a_loss_wakes_the_main_thread_from_any_other() -> None:
    """It comes from the keeper's thread, while the supervisor waits for signals."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {WAKE})
    try:
        deadline = LockDeadline()
        keeper = threading.Thread(target=deadline.wake, args=("stolen",))
        keeper.start()
        assert libc.fetch({WAKE}, 60) == WAKE
        keeper.join()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_lock_that_is_not_held_cannot_be_lost() -> None:
    """A command without a lock may run for ever."""
    assert (NoDeadline().remaining(), NoDeadline().lost()) == (math.inf, False)
