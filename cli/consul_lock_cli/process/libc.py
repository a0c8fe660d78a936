"""Calls of the C library that Python does not offer, or gets wrong."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)

# Large enough for the sigset_t and the siginfo_t of every C library (glibc: 128 bytes each).
_SIGSET = _SIGINFO = 256

# A siginfo_t begins with the number, an errno and the origin.  The kernel's own signals, such
# as those of a terminal, have this origin; those of kill(2) have 0.
_KERNEL = 0x80

_SET_PDEATHSIG = 1
_SET_DUMPABLE = 4
_SET_NAME = 15
_SET_CHILD_SUBREAPER = 36

# Fields of /proc/PID/stat: where something begins in memory.  The one behind it is where it ends.
_ARGUMENTS, _ENVIRONMENT = 48, 50


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class Fetched(NamedTuple):
    """A signal that came."""

    signum: int
    by_kernel: bool
    """The kernel sent it, such as for a key at the terminal; nobody's kill did."""


def fetch(signals: Iterable[int], timeout: float) -> int | None:
    """A signal of these, which must be blocked; None if none came within ``timeout`` seconds.

    None may also come early.
    """
    fetched = receive(signals, timeout)
    return None if fetched is None else fetched.signum


def receive(signals: Iterable[int], timeout: float) -> Fetched | None:
    """Do the same, and say where it came from.

    `signal.sigtimedwait` would do, but if the process was stopped and continued beyond the timeout,
    it returns whatever was in memory as a signal (seen with Python 3.11).
    """
    wanted = ctypes.create_string_buffer(_SIGSET)
    _libc.sigemptyset(wanted)
    for signum in signals:
        _libc.sigaddset(wanted, signum)
    whole, part = divmod(max(0.0, timeout), 1.0)
    limit = _Timespec(int(whole), int(part * 1e9))
    origin = (ctypes.c_int * (_SIGINFO // ctypes.sizeof(ctypes.c_int)))()
    got: int = _libc.sigtimedwait(wanted, ctypes.byref(origin), ctypes.byref(limit))
    if got > 0:
        return Fetched(got, _KERNEL in origin[1:3])
    code = ctypes.get_errno()
    if code not in (errno.EAGAIN, errno.EINTR):
        raise OSError(code, os.strerror(code))
    return None


def die_with_parent(signum: int) -> None:
    """Get ``signum`` when the thread that forked this process ends.  Linux only."""
    _prctl(_SET_PDEATHSIG, signum)


def keep_memory_private() -> None:
    """Leave no core file, also where the kernel pipes it to a program whatever its size; and let no
    other process of this user look into the memory, which may have a token in it.

    A fork has this, too, and a program that is executed has not.  What else follows from it: the
    files in /proc/self belong to root, so an ordinary user cannot open ``/proc/self/environ``, and
    ``hidepid`` hides the process from its own user.  Signals, waits, and what can be read of
    anybody in /proc (stat, status, cmdline, children) stay as they were.
    """
    _prctl(_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be reaped here."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def name_process(name: str) -> None:
    """The name in top and pstree, at most 15 bytes."""
    text = ctypes.create_string_buffer(name.encode()[:15])
    _prctl(_SET_NAME, ctypes.addressof(text))


def set_command_line(text: str) -> None:
    """What ps shows, as far as there is room for it; nothing where it cannot be changed."""
    start, size = _place(_ARGUMENTS)
    if size:
        # The last byte stays zero, or the kernel would go on beyond it.
        ctypes.memset(start, 0, size)
        shown = text.encode("utf-8", "surrogateescape")[: size - 1]
        ctypes.memmove(start, shown, len(shown))


def hide_in_command_line(secret: str) -> None:
    """Let ps show as many ``x`` for an argument, or for what stands behind its equals sign.  Before
    that it could be seen."""
    at, size = _place(_ARGUMENTS)
    wanted = secret.encode("utf-8", "surrogateescape")
    for word in ctypes.string_at(at, size).split(b"\0") if size and wanted else ():
        at += len(word)
        if word == wanted or word.endswith(b"=" + wanted):
            ctypes.memset(at - len(wanted), ord("x"), len(wanted))
        at += 1


def initial_environment() -> bytes:
    """The environment as the process got it, each variable with a NUL behind it; empty: unknown.

    It is what ``/proc/self/environ`` has, which a process that keeps its memory private may not
    open.
    """
    start, size = _place(_ENVIRONMENT)
    return ctypes.string_at(start, size) if size else b""


def _place(field: int) -> tuple[int, int]:
    """Where something is in memory that the kernel has put there, and its size; 0: unknown."""
    try:
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - as light as possible
            fields = file.read().rpartition(b")")[2].split()
        # They are counted from the state letter on, which is the third of all.
        start, end = int(fields[field - 3]), int(fields[field - 2])
    except (OSError, IndexError, ValueError):
        return 0, 0
    return (start, end - start) if 0 < start < end else (0, 0)


def _prctl(option: int, argument: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
