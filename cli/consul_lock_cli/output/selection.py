"""Which of all that `ls` finds is listed, and in which order."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, NamedTuple

from consul_lock_cli.output import cron_text
from consul_lock_cli.output.holder_text import state

if TYPE_CHECKING:
    from consul_lock import CronProblem, CronRecord, Overview, Status

STATES = (
    "held", "free", "vanished", "foreign", "idle", "claimed", "running", "done", "failed", "lost",
    "timeout", "paused", "unreadable",
)  # fmt: skip
"""Of locks, then of cron jobs, as the column STATE has them."""

_FAILED = frozenset({"failed", "lost", "timeout", "unreadable"})


class Selection(NamedTuple):
    """What is wanted; without any of these, all."""

    state: str | None = None
    host: str | None = None
    mine: bool = False
    """What processes of this user on this host hold or wait for, and runs of cron jobs here."""
    failed: bool = False
    """Cron jobs whose last run did not end well, and locks whose holder died."""

    def of(self, found: Overview, now: float) -> Overview:
        """What remains of it."""
        return found._replace(
            locks=[lock for lock in found.locks if self._lock(lock)],
            crons=[record for record in found.crons if self._cron(record, now)],
        )

    def _lock(self, lock: Status) -> bool:
        people = [*lock.holders, *lock.waiters]
        died = bool(lock.vanished) or (not lock.holders and lock.last_holder is not None)
        here, user = os.uname().nodename, getpass.getuser() if self.mine else ""
        return (
            self.state in (None, state(lock))
            and (self.host is None or any(each.host == self.host for each in people))
            and (not self.mine or any((p.host, p.user) == (here, user) for p in people))
            and (not self.failed or died)
        )

    def _cron(self, record: CronRecord | CronProblem, now: float) -> bool:
        word, host = cron_text.state(record, now), getattr(record, "host", "")
        return (
            self.state in (None, word)
            and self.host in (None, host)
            and (not self.mine or host == os.uname().nodename)
            and (not self.failed or _last(record) in _FAILED)
        )


def _last(record: CronRecord | CronProblem) -> str:
    """What became of the last run, paused or not."""
    shown = getattr(record, "shown", None)
    return "unreadable" if shown is None else str(shown.value)


def since(entry: Status | CronRecord | CronProblem) -> float:
    """When it was acquired, or its last run was claimed; what has no such time comes last."""
    holders = getattr(entry, "holders", None)
    if holders is None:
        claimed = getattr(entry, "claimed_at", None)
        return float("inf") if claimed is None else float(claimed)
    return min((holder.since for holder in holders if holder.since), default=float("inf"))
