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


def no_core() -> None:
    """Leave no core file, also where the kernel pipes it to a program whatever its size."""
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
    try:
        # From the state letter on: 48 and 49 of all fields are where the arguments are in memory.
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - as light as possible
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])
    except (OSError, IndexError, ValueError):
        return
    if 0 < start < end:
        # The last byte stays zero, or the kernel would go on beyond it.
        ctypes.memset(start, 0, end - start)
        shown = text.encode("utf-8", "surrogateescape")[: end - start - 1]
        ctypes.memmove(start, shown, len(shown))


def _prctl(option: int, argument: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
