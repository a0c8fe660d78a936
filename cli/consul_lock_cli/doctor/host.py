"""Checks of this host: its clock, its limits and its Python packages."""

from __future__ import annotations

import resource
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

from consul_lock_cli.base.clock import synchronised
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, ok, skip, warn

# Files: the library has up to 96 connections open, and pipes and log files come on top.
_FILES = 128

# Seconds.  The header has whole ones, and the answer has been under way.
_OFFSET = 3.0


def open_files(context: DoctorContext) -> Finding:
    """Enough of them for the connections of a lock, and for the command."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        return warn(
            f"only {soft} open files are allowed", f"ulimit -n {max(_FILES, min(hard, 1024))}"
        )
    return ok(f"{soft} allowed")


def packages(context: DoctorContext) -> Finding:
    """The package `consul` of this Python is the one that the library needs."""
    from consul_lock._protocol.consul.python_consul2 import base

    module = Path(base().__file__)
    # python-consul2 overwrites the other files of py-consul.
    if module.with_name("callback.py").exists():
        return warn(
            f"python-consul2 was installed over py-consul in {module.parent}",
            "programs that need py-consul do not work there: give one of the two an environment"
            " of its own",
        )
    return ok(f"python-consul2 in {module.parent}")


def clock(context: DoctorContext) -> Finding:
    """Somebody keeps it: locks do without, but cron slots and all times in messages do not."""
    try:
        kept = synchronised()
    except OSError as error:
        return skip(str(error))
    if not kept:
        return warn(
            "the clock is not synchronised (says the kernel)",
            "run chrony, ntpd or systemd-timesyncd; 'timedatectl' shows it",
        )
    return ok("synchronised")


def time_of_consul(context: DoctorContext) -> Finding:
    """This clock and that of the agent's host agree."""
    before = time.time()
    said = context.agent.ask("GET", "/v1/status/leader").headers.get("Date")
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
