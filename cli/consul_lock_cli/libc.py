"""Calls of the C library that Python does not offer, or gets wrong."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable

_libc = ctypes.CDLL(None, use_errno=True)

# Large enough for the sigset_t of every C library (glibc: 128 bytes).
_SIGSET = 256

_SET_PDEATHSIG = 1
_SET_DUMPABLE = 4
_SET_CHILD_SUBREAPER = 36


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def fetch(signals: Iterable[int], timeout: float) -> int | None:
    """A signal of these, which must be blocked; None if none came within ``timeout`` seconds.

    None may also come early.  `signal.sigtimedwait` would do, but when we were stopped and
    continued beyond the time-out, it returns whatever was in memory as a signal (seen with
    Python 3.11).
    """
    wanted = ctypes.create_string_buffer(_SIGSET)
    _libc.sigemptyset(wanted)
    for signum in signals:
        _libc.sigaddset(wanted, signum)
    whole, part = divmod(max(0.0, timeout), 1.0)
    limit = _Timespec(int(whole), int(part * 1e9))
    got: int = _libc.sigtimedwait(wanted, None, ctypes.byref(limit))
    if got > 0:
        return got
    code = ctypes.get_errno()
    if code not in (errno.EAGAIN, errno.EINTR):
        raise OSError(code, os.strerror(code))
    return None


def die_with_parent(signum: int) -> None:
    """Get ``signum`` when the thread that forked us ends.  Linux only."""
    _prctl(_SET_PDEATHSIG, signum)


def no_core() -> None:
    """Leave no core file, also where the kernel pipes it to a program whatever its size."""
    _prctl(_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that we can reap them."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, argument: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
