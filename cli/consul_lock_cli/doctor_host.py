"""Checks of this host: its clock, its limits, and whether a child can be made to die with us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from email.utils import parsedate_to_datetime
from typing import NoReturn

from consul_lock_cli import libc
from consul_lock_cli.doctor_check import Finding, Trouble, ok, skip, warn
from consul_lock_cli.doctor_patient import Patient
from consul_lock_cli.durations import show_duration
from consul_lock_cli.exits import ExitCode

# Files: the library has up to 96 connections open, and pipes and log files come on top.
_FILES = 128

# Seconds for the kernel to end a process: milliseconds do, unless it never does.
_DEATH = 5.0

# What adjtimex(2) returns, and sets in its status, when nobody keeps the clock.
_TIME_ERROR = 5
_STA_UNSYNC = 0x40

# Seconds.  The header has whole ones, and the answer has been under way.
_OFFSET = 3.0


def processes(patient: Patient) -> Finding:
    """A command must not outlive a wrapper that is killed: its process asks the kernel for that."""
    if sys.platform != "linux":
        return skip("only Linux can end a process with its parent")
    # We want to ask for the status of the grandchild: nobody else may.
    libc.adopt_orphans()
    try:
        told, tell = os.pipe()
        leash, hold = os.pipe()
        parent = os.fork()
    except OSError as error:
        raise Trouble(
            f"no process can be started: {error.strerror}",
            "see 'ulimit -a', and the limits of the container or the service",
            ExitCode.CONFIG,
        ) from error
    if parent == 0:
        os.close(told)
        os.close(hold)
        _parent(leash, tell)
    os.close(leash)
    os.close(tell)
    try:
        ended = _ends_with(parent, told)
    finally:
        # Whoever of the two still lives sees this, and ends.
        os.close(hold)
        os.close(told)
        _reap()
    if ended:
        return ok("a process ends with its parent")
    return warn(
        "a process does not end with its parent (PR_SET_PDEATHSIG has no effect)",
        "is this an emulated or sandboxed kernel? a wrapper that is killed may leave its command",
    )


def _parent(leash: int, tell: int) -> NoReturn:
    """Have a child that asks to die with us, and wait to be killed."""
    with contextlib.suppress(BaseException):
        us = os.getpid()
        if os.fork() == 0:
            libc.die_with_parent(signal.SIGKILL)
            if os.getppid() == us:
                os.write(tell, b"ready")
        else:
            os.close(tell)
        os.read(leash, 1)
    os._exit(0)


def _ends_with(parent: int, told: int) -> bool:
    """Kill the parent, once its child is ready; whether that one ends too."""
    ready = select.select([told], [], [], _DEATH)[0] and os.read(told, 5)
    os.kill(parent, signal.SIGKILL)
    # Only the child has the other end of this pipe, so it closes with it.
    return bool(ready) and bool(select.select([told], [], [], _DEATH)[0])


def _reap() -> None:
    """Both have been told to end: take their status, so that no zombie is left."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


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
