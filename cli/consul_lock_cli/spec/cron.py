"""Which slots a cron job has, and when they are run; the guard of the library that does it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from consul_lock.limits import EVERY_MAX, EVERY_MIN
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.error_table import in_options
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import shown

if TYPE_CHECKING:
    from consul_lock import Client, CronGuard, CronRecords, LossReason
    from consul_lock_cli.base.console import Console
    from consul_lock_cli.spec.lock import LockSpec

# Kinds of errors that are no matter of how a command line is written.
_OF_THE_CALENDAR = ("schedule", "timezone", "no-cronsim")


class CronSpec(NamedTuple):
    """Times are seconds; what each means is said by the library's `CronGuard`."""

    every: float | None = None
    offset: float | None = None
    slot: str | None = None
    schedule: str | None = None
    timezone: str | None = None
    early: float | None = None
    max_lateness: float | None = None
    overlap: str = "skip"
    wait: float | None = None
    retry_crashed: int = 0
    retry_failed: int = 0
    standby: float = 0.0
    max_skew: float | None = None
    require_synced_clock: bool = False
    history: int = 20
    skip_code: int = 0
    overlap_code: int = 0
    report: str = "failure"
    """Of which runs there is a line: "never", "failure" or "always"."""
    outage_quiet: float = 0.0
    """That Consul cannot be reached is said once in this time on each host."""
    chronic: bool = False
    """What the command prints is shown if it fails, and not at all otherwise."""

    def check(self) -> None:
        """Raise `Misuse` for options that contradict each other."""
        kinds = {"--every": self.every, "--schedule": self.schedule, "--slot": self.slot}
        given = [option for option, value in kinds.items() if value is not None]
        if len(given) > 1:
            raise Misuse(f"{given[0]} and {given[1]} contradict each other", "give one of them")
        if not given:
            raise Misuse(
                "no slot: give --every, --schedule or --slot", "--every 1h is once an hour"
            )
        if self.slot == "":
            raise Misuse("--slot is empty", "is the variable in it empty?")
        self._check_every()
        for option, value, other, fits in (
            ("--offset", self.offset, "--every", self.every is not None),
            ("--timezone", self.timezone, "--schedule", self.schedule is not None),
            ("--wait", self.wait, "--overlap wait", self.overlap == "wait"),
        ):
            if value is not None and not fits:
                raise Misuse(f"{option} needs {other}", "leave one out, or add the other")
        if self.early is not None and self.slot is not None:
            raise Misuse("--early and --slot contradict each other", "an ID has no time")
        if self.retry_crashed and self.overlap == "allow":
            raise Misuse(
                "--retry-crashed and --overlap allow contradict each other",
                "only the run lock shows that a run is dead",
            )

    def _check_every(self) -> None:
        if self.every is None:
            return
        span = show_duration(self.every)
        if not EVERY_MIN <= self.every <= EVERY_MAX:
            raise Misuse(f"--every {span} is out of range", "use 1s to 366d")
        for option, value in (("--offset", self.offset), ("--early", self.early)):
            if value is not None and value >= self.every:
                raise Misuse(
                    f"{option} {show_duration(value)} and --every {span}",
                    "it must be less than that",
                )

    def check_schedule(self, name: str) -> None:
        """Raise the library's ``ConfigError`` for a schedule that cannot be, as `guard` does."""
        if self.schedule is None:
            return
        from consul_lock import once_per

        zone: dict[str, Any] = {} if self.timezone is None else {"timezone": self.timezone}
        once_per(name, schedule=self.schedule, **zone)

    def guard(
        self, client: Client, spec: LockSpec, program: str, on_lost: Callable[[LossReason], Any]
    ) -> CronGuard:
        """The guard; nothing is sent yet.

        Raises `Misuse`, or the library's ``ConfigError`` for a schedule that cannot be.
        """
        from consul_lock import ConfigError, CronGuard

        options: dict[str, Any] = {
            "every": self.every,
            "offset": self.offset or 0.0,
            "schedule": self.schedule,
            "slot": self.slot,
            "early": self.early,
            "max_lateness": self.max_lateness,
            "overlap": self.overlap,
            "wait": self.wait,
            "retry_crashed": self.retry_crashed,
            "retry_failed": self.retry_failed,
            "standby": self.standby,
            "max_skew": self.max_skew,
            "history": self.history,
        }
        if self.schedule is not None and self.timezone is not None:
            options["timezone"] = self.timezone
        try:
            return CronGuard(
                spec.keys[0], client=client, **options, **spec.options(program, on_lost)
            )
        except ConfigError as error:
            if error.kind in _OF_THE_CALENDAR:
                raise
            raise Misuse(in_options(error, str(error))) from error

    def epoch(self, slot: str) -> float | None:
        """The time of a slot, in seconds since the epoch; None: it is an ID."""
        return None if self.slot is not None else datetime.fromisoformat(slot).timestamp()


def short(slot: str, epoch: float | None, at: float) -> str:
    """A slot for people: `17:00Z` if it is of the day of ``at``."""
    if epoch is None:
        return shown(slot)
    same = time.gmtime(epoch)[:3] == time.gmtime(at)[:3]
    clock = slot.partition("T")[2] if same else slot
    return re.sub(r":00Z$", "Z", clock) if same else clock


def is_prefix(name: str) -> bool:
    """Whether all jobs below it are meant, and not one of that name."""
    return not name or name.endswith("/")


def records_of(records: CronRecords, name: str, console: Console) -> list[str]:
    """The names that are meant by a NAME or PREFIX/, of jobs that have a record.

    Raises `Conflict` for a NAME whose record cannot be read; below a PREFIX/ that is a warning.
    """
    from consul_lock import CronProblem

    if not name:
        raise Misuse("the name is empty", "is the variable in it empty?")
    if not is_prefix(name):
        if records.record(name) is not None:
            return [name]
        if count := len(records.below(f"{name}/")):
            jobs = "1 job" if count == 1 else f"{count} jobs"
            console.note(f"{shown(name, 512)}/, with the /, means the {jobs} below it")
        return []
    names = []
    for record in records.below(name):
        if isinstance(record, CronProblem):
            console.warn(f"left alone: {shown(record.problem, 500)}")
        else:
            names.append(record.name)
    return names
