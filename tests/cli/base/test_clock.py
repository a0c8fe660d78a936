"""Time: a moment as text, whether the clock is right, and a limit for work."""

from __future__ import annotations

import ctypes
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from consul_lock_cli.base import clock

# What adjtimex(2) returns and sets.
_OK, _ERROR, _UNSYNC = 0, 5, 0x40


def test_the_clock_of_leases_counts_a_sleep_of_the_machine() -> None:
    """It is that of the system, and nothing is added."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= clock.now() <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize(
    "epoch, text",
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1800000000.0, "2027-01-15T08:00:00.000Z"),
        (1800000000.0625, "2027-01-15T08:00:00.062Z"),
    ],
)
def test_a_moment_is_written_in_utc_to_the_millisecond(epoch: float, text: str) -> None:
    """Always with the three digits, so that such texts are in order of time."""
    assert clock.rfc3339(epoch) == text


def test_a_moment_that_no_calendar_has_is_an_error() -> None:
    """The caller shows something else."""
    with pytest.raises((ValueError, OverflowError, OSError)):
        clock.rfc3339(1e20)


def _kernel(returned: int, status: int = 0) -> Any:
    def adjtimex(timex: Any) -> int:
        timex._obj.status = status
        return returned

    return lambda name, use_errno: SimpleNamespace(adjtimex=adjtimex)


@pytest.mark.parametrize(
    "returned, status, kept",
    [
        (_OK, 0, True),
        (1, 0x2001, True),  # a leap second is about to be inserted
        (_ERROR, 0, False),
        (_OK, _UNSYNC, False),
        (_ERROR, _UNSYNC | 1, False),
    ],
)
def test_the_kernel_knows_whether_its_clock_is_kept(
    returned: int, status: int, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what it returns, and by a bit."""
    monkeypatch.setattr(ctypes, "CDLL", _kernel(returned, status))
    assert clock.synchronised() is kept


@pytest.mark.parametrize(
    "kernel", [_kernel(-1), lambda name, use_errno: SimpleNamespace()], ids=["refuses", "has none"]
)
def test_a_kernel_that_cannot_be_asked_is_an_error(
    kernel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither yes nor no."""
    monkeypatch.setattr(ctypes, "CDLL", kernel)
    with pytest.raises(OSError, match="cannot be asked"):
        clock.synchronised()


def test_work_is_done_within_its_time() -> None:
    """It has ended when the caller goes on."""
    done: list[int] = []
    clock.in_time(lambda: done.append(1), 30.0)
    assert done == [1]


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, SystemExit])
def test_work_that_fails_is_as_if_it_were_not_done(error: type[BaseException]) -> None:
    """Whatever it raises, and without a word of it."""

    def fail() -> None:
        raise error

    clock.in_time(fail, 30.0)


def test_work_that_lasts_longer_is_left_alone() -> None:
    """The caller goes on, though it has not ended; nor does it keep the process from ending."""
    go, ended = threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        ended.set()

    before = set(threading.enumerate())
    try:
        clock.in_time(work, 0.01)
        assert not ended.is_set()
        (thread,) = set(threading.enumerate()) - before
        assert thread.daemon
    finally:
        go.set()
    thread.join()
