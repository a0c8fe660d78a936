"""Signals of the wrapper: blocked in every thread for its whole life, and fetched one by one.

So there are no handlers, no interrupted system calls and no races: `libc.fetch` returns a
signal when the caller is ready for it.  Linux and the BSDs have it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
from typing import NamedTuple, NoReturn

from consul_lock_cli.process import libc

WAKE = signal.SIGURG
"""Internal: wakes a thread of this process that waits.  By default the kernel drops it."""

ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
"""Asks a program to end."""

STOPPING = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
"""Job control: the terminal asks a program to stop for a while."""

# Seconds.  timeout(1) sends its signal to the process and then to its group, and service managers
# do the same: what comes twice within this time was meant once.
_ECHO = 0.05

# Never blocked: the kernel's answer to a fault of this process, and what cannot be blocked.
_FAULTS = frozenset(
    {
        signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT,
        signal.SIGTRAP, signal.SIGSYS, signal.SIGXCPU, signal.SIGKILL, signal.SIGSTOP,
    }
)  # fmt: skip

# Ignored by Python itself from its start, so never at the wish of the parent process.
_PYTHONS = frozenset({signal.SIGPIPE, signal.SIGXFSZ})


class Signals(NamedTuple):
    """The state inherited from the parent process."""

    caught: frozenset[int]
    """Blocked, to be fetched."""
    ignored: frozenset[int]
    """Ignored at the start (nohup): they stay so, here and in the command."""


def take_over() -> Signals:
    """Block the signals.  To be called before anything forks or starts a thread."""
    ordinary = frozenset(signal.valid_signals()) - _FAULTS - _PYTHONS
    ignored = frozenset(s for s in ordinary if signal.getsignal(s) == signal.SIG_IGN)
    # Ignoring SIGCHLD would make children unwaitable, and WAKE is internal.
    caught = (ordinary - ignored) | {signal.SIGCHLD, WAKE}
    signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if signal.SIGINT in caught:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no KeyboardInterrupt
    return Signals(caught, ignored)


def give_back(signals: Signals) -> None:
    """In a child: handlers as they were at the start, and nothing blocked."""
    for ours in _PYTHONS:
        signal.signal(ours, signal.SIG_DFL)
    for theirs in signals.ignored:
        signal.signal(theirs, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def swallow_echo(signum: int) -> None:
    """Drop a repetition of a signal that was fetched just now, before it is acted upon."""
    libc.fetch({signum}, _ECHO)


def asked_to_end(signals: Signals) -> int | None:
    """A signal that came meanwhile and asks the process to end; it is fetched."""
    return libc.fetch(ENDING & signals.caught, 0)


def stop_by(signum: int, group: bool = False) -> bool:
    """Stop because of a signal of job control, until continued; whether the process stopped.

    ``group``: the whole process group gets it, as if typed at the terminal.

    The parent, such as another consul-lock, sees which signal it was, as with any program.  If no
    shell is above that could continue it, the kernel does not stop the process.
    """
    os.kill(0 if group else os.getpid(), signum)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
    # Here it stops.  The signal that continues it is blocked, so it can be fetched.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signum})
    return libc.fetch({signal.SIGCONT}, 0) is not None


def die_by(signum: int, group: bool = False) -> NoReturn:
    """Die of a signal, so that the parent sees a real death by it, without a core.

    ``group``: the whole process group gets it, as if typed at the terminal.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    libc.keep_memory_private()
    if signum != signal.SIGKILL and threading.current_thread() is threading.main_thread():
        signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
    os.kill(0 if group else os.getpid(), signum)
    os._exit(128 + signum)
