"""What the tests of the output print: one lock, one holder, one cron job."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from consul_lock import Break, CronPast, CronRecord, CronState, Holder, Status

HOUR = 3600.0

NOW = datetime(2026, 11, 21, 17, 3, 15, tzinfo=UTC).timestamp()

SLOT = NOW - 195
"""17:00Z."""

SESSION = "01234567-89ab-cdef-0123-456789abcdef"

ESCAPES = "web\x1b[2J\r\n\x9b1;1H\u202e3"
"""Moves the cursor, and turns the direction of writing."""


def holder(host: str = "web3", **more: Any) -> Holder:
    """A process that has held something for 3m12s."""
    about = {"session": SESSION, "pid": 4242, "user": "root", "since": NOW - 192, "token": 7}
    return Holder(host=host, **{**about, **more})


def foreign_holder(session: str = SESSION) -> Holder:
    """One that says nothing of itself."""
    return Holder(session, token=7, foreign=True, value="hello")


def status(*holders: Holder, kind: str = "lock", **more: Any) -> Status:
    """A lock, with these holders or free."""
    about = {"state": "held" if holders else "free", "index": 7, **more}
    return Status("deploy", "deploy/.lock", kind, holders=holders, **about)


def foreign_value(value: bytes) -> Status:
    """A key that is no lock."""
    return status(kind="foreign", state="unknown", value=value, flags=5, problem="not a lock")


def note(**more: Any) -> Break:
    """Somebody has broken the hold of `SESSION` 41 s ago."""
    about = {"at": NOW - 41, "host": "adm", "user": "ann", "reason": "stuck", **more}
    return Break(SESSION, **about)


def record(**more: Any) -> CronRecord:
    """An hourly job whose run of 17:00 took 12 s, and ended well."""
    about = {
        "slot": "2026-11-21T17:00:00Z", "epoch": SLOT, "claim": "c1", "attempt": 1,
        "state": CronState.DONE, "host": "web3", "pid": 4242, "session": SESSION, "token": 7,
        "every": HOUR, "claimed_at": SLOT + 1, "started_at": SLOT + 2, "finished_at": SLOT + 14,
        "exit": 0, "runtime": 12.0, "index": 9, **more,
    }  # fmt: skip
    return CronRecord("backup", **about)


def past(ago: int, state: CronState = CronState.DONE, **more: Any) -> CronPast:
    """The run so many slots before that of 17:00."""
    epoch = SLOT - ago * HOUR
    label = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"attempt": 1, "host": "web3", "claim": "c", "claimed_at": epoch + 1, "runtime": 6.0}
    return CronPast(label, epoch, state=state, **{**about, "exit": 0, **more})
