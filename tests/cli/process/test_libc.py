"""Calls of the C library: signals that are fetched, and what is set of a process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from consul_lock_cli.process import libc
from tests.cli.process.fresh_process import fresh

_ONE, _OTHER = signal.SIGUSR1, signal.SIGUSR2


@pytest.fixture(autouse=True)
def _blocked() -> Iterator[None]:
    """Sent to this thread alone, as others do not block them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {_ONE, _OTHER})
    yield
    while libc.fetch({_ONE, _OTHER}, 0) is not None:
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send(signum: int) -> None:
    signal.pthread_kill(threading.get_ident(), signum)


def test_a_signal_is_fetched_once() -> None:
    """And only one that is wanted."""
    assert libc.fetch({_ONE}, 0) is None
    _send(_ONE)
    assert libc.fetch({_OTHER}, 0) is None
    assert libc.fetch({_ONE, _OTHER}, 60) == _ONE
    assert libc.fetch({_ONE, _OTHER}, 0) is None


@pytest.mark.parametrize("timeout", [-1.0, 0.0, 0.001])
def test_a_time_that_is_over_is_no_signal(timeout: float) -> None:
    """Nor an error."""
    assert libc.receive({_ONE}, timeout) is None


def test_a_signal_of_the_kernel_is_distinguished_from_that_of_a_kill() -> None:
    """As a key at the terminal is meant for all; here it is the kernel's timer."""
    _send(_ONE)
    assert libc.receive({_ONE}, 60) == (_ONE, False)
    code, lines = fresh(
        """
        from consul_lock_cli.process import libc
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        say(libc.receive({signal.SIGALRM}, 60).by_kernel)
        os.kill(os.getpid(), signal.SIGALRM)
        say(libc.receive({signal.SIGALRM}, 60).by_kernel)
        """
    )
    assert (code, lines) == (0, ["True", "False"])


def test_the_settings_of_a_process() -> None:
    """Its name is cut to what the kernel keeps; no core; orphans; a death with the parent."""
    code, lines = fresh(
        """
        import ctypes
        from consul_lock_cli.process import libc

        def got(option):
            value = ctypes.c_int(-1)
            ctypes.CDLL(None).prctl(option, ctypes.byref(value), 0, 0, 0)
            return value.value

        GET_PDEATHSIG, GET_DUMPABLE, GET_CHILD_SUBREAPER = 2, 3, 37
        dumpable = lambda: ctypes.CDLL(None).prctl(GET_DUMPABLE, 0, 0, 0, 0)
        say(got(GET_PDEATHSIG), dumpable(), got(GET_CHILD_SUBREAPER))
        libc.name_process("a name of twenty and more")
        say(open("/proc/self/comm").read().strip())
        libc.die_with_parent(signal.SIGTERM)
        libc.keep_memory_private()
        libc.adopt_orphans()
        say(got(GET_PDEATHSIG), dumpable(), got(GET_CHILD_SUBREAPER))
        """
    )
    assert (code, lines) == (0, ["0 1 0", "a name of twent", "15 0 1"])
