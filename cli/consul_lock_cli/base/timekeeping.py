"""Whether anybody keeps the clock of this host right, by the word of its kernel."""

from __future__ import annotations

import ctypes
import os

# What adjtimex(2) returns, and sets in its status, when nobody does.
_TIME_ERROR = 5
_STA_UNSYNC = 0x40


class _Timex(ctypes.Structure):
    """The beginning of the kernel's struct timex; what follows it is only room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 256),
    )


def synchronised() -> bool:
    """Whether it is kept right.  Raises OSError if this system cannot be asked."""
    try:
        ask = ctypes.CDLL(None, use_errno=True).adjtimex
    except AttributeError:
        raise OSError("this system cannot be asked") from None
    now = _Timex()  # modes 0: it only reads
    state = ask(ctypes.byref(now))
    if state < 0:
        raise OSError(f"cannot be asked: {os.strerror(ctypes.get_errno())}")
    return state != _TIME_ERROR and not now.status & _STA_UNSYNC
