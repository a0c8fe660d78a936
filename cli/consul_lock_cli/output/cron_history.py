"""The history of a cron job as a line of time: runs, and the slots that nobody has run."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.text import shown, width
from consul_lock_cli.output import cron_text
from consul_lock_cli.output.lock_json import moment
from consul_lock_cli.output.lock_table import Row, table

if TYPE_CHECKING:
    from consul_lock import CronPast, CronRecord


class Gap(NamedTuple):
    """Slots between two runs that nobody has claimed."""

    epoch: float
    """The first of them, in seconds since the epoch."""
    slots: int
    """How many there are."""

    @property
    def slot(self) -> str:
        """Its label."""
        return (moment(self.epoch) or "").replace(".000Z", "Z")


# Columns of a terminal below which there is no room for bars, and then for years and attempts.
_BARS_MIN, _YEARS_MIN = 64, 50

# Columns of a host's name at most, and of the longest bar.
_HOST_MAX, _BAR_MAX = 24, 40

# How the label of a time begins: "2026-".
_YEAR = 5

# Bad states are written in capitals: they are seen without colours, too.
_BAD = ("failed", "lost", "timeout", "missed")


def timeline(record: CronRecord, now: float) -> list[CronPast | Gap]:
    """The runs, the oldest first, and what was missed between them and after the last one.

    A slot is missed if nobody has claimed it and its time is over; with the present interval, and
    only where there is one.  While it is paused nothing is expected.
    """
    past = list(reversed(record.past(dead=record.crashed)))
    runs = [run for run in past if not run.extra]
    return _with_extras(_slots(record, runs, now), [run for run in past if run.extra])


def _slots(record: CronRecord, runs: list[CronPast], now: float) -> list[CronPast | Gap]:
    if not runs or not record.every:
        return list(runs)
    found: list[CronPast | Gap] = []
    for run, following in pairwise(runs):
        found += [run, *_gap(run, following.epoch, record.every)]
    pause = record.paused
    until = pause.at if pause is not None and record.is_paused(now) else now
    # The slot of this very moment may still be claimed.
    return [*found, runs[-1], *_gap(runs[-1], until - record.every, record.every)]


def _with_extras(lines: list[CronPast | Gap], extras: list[CronPast]) -> list[CronPast | Gap]:
    """Each before the first line that began after it."""
    found = list(lines)
    for extra in extras:
        later = (at for at, line in enumerate(found) if _began(line) > extra.claimed_at)
        found.insert(next(later, len(found)), extra)
    return found


def _began(line: CronPast | Gap) -> float:
    return line.epoch if isinstance(line, Gap) else line.claimed_at


def _gap(run: CronPast, until: float | None, every: float) -> Iterator[Gap]:
    if run.epoch is None or until is None:
        return
    # From a slot to the next it is one step; the end of the line is in the midst of one.
    steps = (until - run.epoch) / every
    slots = int(steps) - (1 if abs(steps - round(steps)) < 1e-6 else 0)
    if slots > 0:
        yield Gap(run.epoch + every, slots)


def history_table(
    record: CronRecord, lines: Sequence[CronPast | Gap], now: float, columns: int
) -> str:
    """A line for each, as wide as there is room, and a last one that sums it up."""
    longest = max((_took(line, now) or 0.0 for line in lines), default=0.0)
    rows: list[Row] = [_row(line, now) for line in lines]
    head: Row = ("SLOT", "RESULT", "TOOK", "TRY", "HOST")
    if columns < _YEARS_MIN:
        head = _narrowed(head, timed=False)
        rows = [
            _narrowed(row, line.epoch is not None) for row, line in zip(rows, lines, strict=True)
        ]
    elif columns >= _BARS_MIN:
        used = sum(max(width(row[at]) for row in (head, *rows)) + 2 for at in range(len(head)))
        room = min(columns - used - 1, _BAR_MAX)
        head = (*head, "")
        rows = [
            (*row, _bar(line, now, longest, room)) for row, line in zip(rows, lines, strict=True)
        ]
    return f"{table(head, rows, 1)}\n{summary(record, lines, columns)}"


def _narrowed(row: Row, timed: bool) -> Row:
    return (row[0][_YEAR:] if timed else row[0], *row[1:3], *row[4:])


def _row(line: CronPast | Gap, now: float) -> Row:
    if isinstance(line, Gap):
        return (cron_text.slot("", line.epoch), _word(line), "-", "-", "-")
    took = _took(line, now)
    return (
        cron_text.slot("", line.claimed_at // 60 * 60)
        if line.extra
        else cron_text.slot(line.slot, line.epoch),
        _word(line),
        "-" if took is None else show_duration(took),
        "extra" if line.extra else str(line.attempt),
        shown(line.host, _HOST_MAX) or "-",
    )


def _word(line: CronPast | Gap) -> str:
    if isinstance(line, Gap):
        return "MISSED" if line.slots == 1 else f"MISSED x{line.slots}"
    word = line.state.value.upper() if line.state.value in _BAD else line.state.value
    code = f" {line.exit}" if line.exit and line.state.value == "failed" else ""
    return f"{word}{code}" + ("" if line.claim else " (reset)")


def _took(line: CronPast | Gap, now: float) -> float | None:
    if isinstance(line, Gap):
        return None
    if line.state.value in cron_text.UNDER_WAY:
        return float(max(0.0, round(now - line.claimed_at)))
    return line.runtime


def _bar(line: CronPast | Gap, now: float, longest: float, room: int) -> str:
    took = _took(line, now)
    if took is None or room < 1:
        return ""
    length = max(1, round(room * took / longest) if longest else 1)
    return "#" * length


def summary(record: CronRecord, lines: Sequence[CronPast | Gap], columns: int) -> str:
    """All of it, in as few lines as there is room for."""
    runs = [line for line in lines if not isinstance(line, Gap)]
    missed = sum(line.slots for line in lines if isinstance(line, Gap))
    states = Counter(run.state.value for run in runs)
    counts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    parts = [
        f"{cron_text.rhythm(record)}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}: {counts}"
    ]
    if missed:
        parts.append(f"{missed} missed")
    took = [run.runtime for run in runs if run.runtime is not None]
    if took:
        usual, most = statistics.median(took), max(took)
        parts.append(f"took {show_duration(usual)} (median), {show_duration(most)} at most")
    text = parts[0]
    for part in parts[1:]:
        room = columns - width(text.rpartition("\n")[2]) - 2
        text += f"; {part}" if width(part) <= room else f";\n{part}"
    return text
