"""Cron jobs in tables: a line for each, in one of their own or among locks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from consul_lock_cli.base.names import shown
from consul_lock_cli.output import cron_text
from consul_lock_cli.output.lock_table import HEAD, Row, status_row, table

if TYPE_CHECKING:
    from consul_lock import CronProblem, CronRecord, Overview

# Characters of a reason, or of a problem.
_NOTE_MOST = 60


def cron_table(records: Sequence[CronRecord | CronProblem], now: float) -> str:
    """A line for each."""
    rows: list[Row] = [_row(record, now) for record in records]
    head: Row = ("NAME", "STATE", "SLOTS", "LAST", "HOST", "RESULT", "NOTE")
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    return table(head, rows, 1)


def _row(record: CronRecord | CronProblem, now: float) -> Row:
    from consul_lock import CronProblem

    start = (shown(record.name, 512), cron_text.state(record, now), cron_text.rhythm(record))
    if isinstance(record, CronProblem):
        return (*start, "-", "-", "-", cron_text.note(record, _NOTE_MOST))
    return (
        *start,
        cron_text.slot(record.slot, record.epoch, now),
        shown(record.host) or "-",
        cron_text.result(record, now),
        cron_text.note(record, _NOTE_MOST),
    )


def overview_table(found: Overview, now: float) -> str:
    """Locks and cron jobs, by name."""

    locks = [(each.name, 0, status_row(each, now)) for each in found.locks]
    crons = [(each.name, 1, _among_locks(each, now)) for each in found.crons]
    return table(HEAD, [row for _, _, row in sorted([*locks, *crons])], 1)


def _among_locks(record: CronRecord | CronProblem, now: float) -> Row:
    from consul_lock import CronProblem

    name, state, rhythm = (
        shown(record.name, 512),
        cron_text.state(record, now),
        cron_text.rhythm(record),
    )
    if isinstance(record, CronProblem):
        return (name, state, rhythm, cron_text.note(record, _NOTE_MOST), "-", "-")
    said = cron_text.note(record, 30) if state == "paused" else cron_text.result(record, now)
    ran = f"{shown(record.host)} " if record.host and state != "paused" else ""
    last = f"slot {cron_text.slot(record.slot, record.epoch, now)}" if record.slot else "-"
    return (name, state, rhythm, f"{ran}{said}", last, "-")
