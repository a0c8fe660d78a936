"""Checks of this host: its clock and its limits."""

from __future__ import annotations

import ctypes
import os
import resource
import time
from email.utils import parsedate_to_datetime

from consul_lock_cli.doctor_check import Finding, ok, skip, warn
from consul_lock_cli.doctor_patient import Patient
from consul_lock_cli.durations import show_duration

# Files: the library has up to 96 connections open, and pipes and log files come on top.
_FILES = 128

# What adjtimex(2) returns, and sets in its status, when nobody keeps the clock.
_TIME_ERROR = 5
_STA_UNSYNC = 0x40

# Seconds.  The header has whole ones, and the answer has been under way.
_OFFSET = 3.0


def open_files(patient: Patient) -> Finding:
    """Enough of them for the connections of a lock, and for the command."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        return warn(
            f"only {soft} open files are allowed", f"ulimit -n {max(_FILES, min(hard, 1024))}"
        )
    return ok(f"{soft} allowed")


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


def clock(patient: Patient) -> Finding:
    """Somebody keeps it: locks do without, but cron slots and all times in messages do not."""
    try:
        ask = ctypes.CDLL(None, use_errno=True).adjtimex
    except AttributeError:
        return skip("this system cannot be asked")
    now = _Timex()  # modes 0: it only reads
    state = ask(ctypes.byref(now))
    if state < 0:
        return skip(f"cannot be asked: {os.strerror(ctypes.get_errno())}")
    if state == _TIME_ERROR or now.status & _STA_UNSYNC:
        return warn(
            "nothing keeps this clock right (the kernel calls it unsynchronised)",
            "run chrony, ntpd or systemd-timesyncd; 'timedatectl' shows it",
        )
    return ok("synchronised")


def time_of_consul(patient: Patient) -> Finding:
    """This clock and that of the agent's host agree."""
    before = time.time()
    said = patient.agent.ask("GET", "/v1/status/leader").headers.get("Date")
    after = time.time()
    try:
        theirs = parsedate_to_datetime(said or "").timestamp()
    except ValueError:
        return skip("the answer has no Date")
    # The header is cut to whole seconds: that moment was in [theirs, theirs + 1).
    off = max(before - (theirs + 1), theirs - after, 0.0)
    if off < _OFFSET:
        return ok("the agent's clock agrees")
    return warn(
        f"this clock and the agent's are {show_duration(off)} apart",
        "'timedatectl' on both hosts shows which one is wrong",
    )
