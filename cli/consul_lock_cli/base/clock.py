"""Time: the clock that leases go by, whether the calendar clock is right, and a limit for work.

`now` is the library's clock, and not imported from there: the guardian is forked before the library
is loaded.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from typing import Any

# What adjtimex(2) returns, and sets in its status, when nobody does.
_TIME_ERROR = 5

_STA_UNSYNC = 0x40


def now() -> float:
    """Seconds of a clock that counts the time a machine sleeps, as leases do."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def rfc3339(epoch: float) -> str:
    """A moment since the epoch in UTC, to the millisecond.  Raises what datetime raises."""
    from datetime import UTC, datetime  # not for those who read the clock only

    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


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


def in_time(act: Callable[[], Any], seconds: float) -> None:
    """Do something for so long at most; if it fails or lasts longer, it is as if it were not done.

    In a thread, as nothing else ends the resolution of a name.  The process ends without it.
    """
    import threading  # not for those who read the clock only

    def try_it() -> None:
        try:
            act()
        except BaseException:  # noqa: BLE001 - see above
            pass

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(seconds)
