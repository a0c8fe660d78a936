"""Cron jobs for people: a line for each, in a table or among locks; all about one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.text import shown
from consul_lock_cli.output import cron_text
from consul_lock_cli.output.holder_text import word
from consul_lock_cli.output.lock_table import HEAD, Row, status_row, table
from consul_lock_cli.output.selection import since

if TYPE_CHECKING:
    from consul_lock import CronProblem, CronRecord, Overview, Status

# Seconds: clocks that are kept right differ by less.
_OFF = 2.0

# Characters of a reason, or of a problem.
_NOTE_MAX = 60


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
        return (*start, "-", "-", "-", cron_text.note(record, now, _NOTE_MAX))
    return (
        *start,
        cron_text.slot(record.slot, record.epoch, now),
        shown(record.host) or "-",
        cron_text.result(record, now),
        cron_text.note(record, now, _NOTE_MAX),
    )


def overview_table(found: Overview, now: float, *, by_age: bool = False) -> str:
    """Locks and cron jobs, by name, or the oldest first."""

    def place(entry: Status | CronRecord | CronProblem, kind: int) -> tuple[float, str, int]:
        return since(entry) if by_age else 0.0, entry.name, kind

    locks = [(place(each, 0), status_row(each, now)) for each in found.locks]
    crons = [(place(each, 1), _among_locks(each, now)) for each in found.crons]
    return table(HEAD, [row for _, row in sorted([*locks, *crons])], 1)


def _among_locks(record: CronRecord | CronProblem, now: float) -> Row:
    from consul_lock import CronProblem, cron_health

    name, state, rhythm = (
        shown(record.name, 512),
        cron_text.state(record, now),
        cron_text.rhythm(record),
    )
    if isinstance(record, CronProblem):
        return (name, state, rhythm, cron_text.note(record, now, _NOTE_MAX), "-", "-")
    late = cron_text.overdue(cron_health(record, now))
    said = cron_text.note(record, now, 30) if state == "paused" else cron_text.result(record, now)
    said += f", {late}" if late else ""
    ran = f"{shown(record.host)} " if record.host and state != "paused" else ""
    last = f"slot {cron_text.slot(record.slot, record.epoch, now)}" if record.slot else "-"
    return (name, state, rhythm, f"{ran}{said}", last, "-")


def describe(record: CronRecord, now: float) -> str:
    """Everything but the runs of the history."""
    title = f"{shown(record.name, 512)}: {word(cron_text.state(record, now))}"
    lines = [f"{title} ({cron_text.rhythm(record)})"]
    lines += [f"  {what:<10} {text}" for what, text in _lines(record, now)]
    return "\n".join(lines)


def _lines(record: CronRecord, now: float) -> Iterator[tuple[str, str]]:
    if record.slot:
        attempt = f", attempt {record.attempt}" if record.attempt else ""
        yield "slot", f"{cron_text.slot(record.slot, record.epoch)}{attempt}"
    if record.attempt:
        yield from _run(record, now)
    if record.overlaps:
        last = f", the last one {shown(record.overlapped)}" if record.overlapped else ""
        yield "overlaps", f"{record.overlaps} skipped, as the run before was under way{last}"
    pause = record.paused
    if pause is not None and record.is_paused(now):
        yield "paused", f"{cron_text.ago(pause.at, now)} {cron_text.pause(pause, now, 500)}"
    yield from _health(record, now)
    if record.changed is not None:
        change = record.changed
        what = f"{shown(change.what, 20)} by {shown(change.by, 100)}"
        yield "changed", f"{cron_text.clock(change.at)}, {cron_text.ago(change.at, now)}: {what}"
    if record.history:
        states = Counter(past.state.value for past in record.history)
        counts = ", ".join(f"{count} {state}" for state, count in states.most_common())
        yield "earlier", f"{counts}; 'consul-lock cron history' shows them"


def _health(record: CronRecord, now: float) -> Iterator[tuple[str, str]]:
    from consul_lock import cron_health

    health = cron_health(record, now)
    following = health.next_slot
    if following is not None and health.paused is None:
        begins = "begins" if following > now else "has begun"
        text = f"{cron_text.slot('', following)}, {begins} {cron_text.ago(following, now)}"
        late = cron_text.overdue(health)
        yield "next slot", f"{text}: {late}" if late else text
    if health.failures > 1:
        yield "failures", f"{health.failures} in a row"
    if health.outcome is not None and health.outcome.value != "done":
        well = health.last_success
        yield "succeeded", "not known" if well is None else _when(well, now)
    if health.missed:
        yield "missed", f"{health.missed}; 'consul-lock cron history' shows them"
    if health.disagreeing:
        yield "disagree", cron_text.disagreement(health.disagreeing)


def _when(epoch: float, now: float) -> str:
    return f"{cron_text.clock(epoch)}, {cron_text.ago(epoch, now)}"


def _run(record: CronRecord, now: float) -> Iterator[tuple[str, str]]:
    yield "run by", f"{shown(record.host)} pid {record.pid}"
    if record.claimed_at is not None:
        yield (
            "claimed",
            f"{cron_text.clock(record.claimed_at)}, {_ago_or_not(record.claimed_at, now)}",
        )
    outcome = cron_text.result(record, now)
    over = "" if record.finished_at is None else f", {cron_text.ago(record.finished_at, now)}"
    if record.crashed:
        yield "result", f"{record.state.value} by its record, but its session is gone: it is dead"
    else:
        said = "" if outcome == "-" else f" {outcome}"
        yield "result", f"{record.state.value}{said}{over}"
    if record.session:
        yield "run lock", f"session {shown(record.session)}, token {record.token}"
        if record.claim:
            yield "claim", shown(record.claim)
    else:
        yield "run lock", "none: overlaps are allowed"
    yield from _clock(record, now)


def _ago_or_not(epoch: float, now: float) -> str:
    return "by its clock" if epoch - now > _OFF else cron_text.ago(epoch, now)


def _clock(record: CronRecord, now: float) -> Iterator[tuple[str, str]]:
    """What its dates say of its host's clock."""
    claimed = record.claimed_at
    if claimed is None:
        return
    if claimed - now > _OFF:
        ahead = show_duration(claimed - now)
        yield "clock", f"{shown(record.host)} is {ahead} ahead of this host: one of them is wrong"
    elif record.epoch is not None:
        late = claimed - record.epoch
        when = "after" if late >= 0 else "before"
        yield "clock", f"claimed {show_duration(abs(late))} {when} the slot began, by its own clock"
