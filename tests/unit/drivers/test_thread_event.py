"""What threads wait for: as `threading.Event`, and not broken by a Ctrl-C."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

import pytest

from consul_lock._drivers.thread_event import ThreadEvent
from tests.support.waiting import eventually


class Struck(BaseException):
    """As the exception of a signal handler, anywhere in a thread."""


def test_a_waiter_is_woken() -> None:
    """Also by being set and cleared at once."""
    signal, woken = ThreadEvent(), []
    threads = [threading.Thread(target=lambda: woken.append(signal.wait(60))) for _ in range(5)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(signal._waiting) == 5)
    signal.set()
    signal.clear()
    for thread in threads:
        thread.join(30)
    assert woken == [True] * 5
    assert not signal.is_set()
    assert not signal._waiting


def test_a_wait_ends_with_its_timeout() -> None:
    """With the answer that it did not happen."""
    assert ThreadEvent().wait(0) is False
    assert ThreadEvent().wait(0.01) is False


def test_an_event_that_has_happened_is_not_waited_for() -> None:
    """Until it is cleared."""
    signal = ThreadEvent()
    signal.set()
    assert signal.wait()
    assert "unset" not in repr(signal)
    signal.clear()
    assert not signal.wait(0)


def _strike(thread: threading.Thread) -> None:
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Struck))


def _until_struck(use: Callable[[], object], begun: list[bool]) -> None:
    try:
        while True:
            begun.append(True)
            use()
    except Struck:
        return


@pytest.mark.parametrize("use", ["set", "wait"])
def test_an_exception_anywhere_does_not_break_it(use: str) -> None:
    """A thread is struck hundreds of times while it uses the signal; others still can."""
    signal = ThreadEvent()
    how = {"set": signal.set, "wait": lambda: (signal.clear(), signal.wait(0.0001))}[use]
    for _ in range(300):
        begun: list[bool] = []
        thread = threading.Thread(target=_until_struck, args=(how, begun))
        thread.start()
        eventually(lambda: begun)  # noqa: B023 - it is called within this round
        _strike(thread)
        thread.join(30)
        assert not thread.is_alive()
    checked = []
    other = threading.Thread(target=lambda: checked.append((signal.set(), signal.wait(60))))
    other.start()
    other.join(30)
    assert checked == [(None, True)]
