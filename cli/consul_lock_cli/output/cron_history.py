"""The history of a cron job as a line of time: runs, and the slots that nobody has run."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.text import shown, width
from consul_lock_cli.output import cron_text
from consul_lock_cli.output.lock_table import Row, table

if TYPE_CHECKING:
    from consul_lock import CronGap, CronPast, CronRecord


# Columns of a terminal below which there is no room for bars, and then for years and attempts.
_BARS_MIN, _YEARS_MIN = 64, 50

# Columns of a host's name at most, and of the longest bar.
_HOST_MAX, _BAR_MAX = 24, 40

# How the label of a time begins: "2026-".
_YEAR = 5

# Why slots were skipped on purpose, for the line that sums it up.
_SKIPPED = {"overlap": "for an overlap", "paused": "while paused"}

# Bad states are written in capitals: they are seen without colours, too.
_BAD = ("failed", "lost", "timeout", "missed")


def history_table(
    record: CronRecord, lines: Sequence[CronPast | CronGap], now: float, columns: int
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


def _row(line: CronPast | CronGap, now: float) -> Row:
    from consul_lock import CronGap

    if isinstance(line, CronGap):
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


def _word(line: CronPast | CronGap) -> str:
    from consul_lock import CronGap

    if isinstance(line, CronGap):
        word = line.why.upper() if line.why in _BAD else line.why
        return word if line.slots == 1 else f"{word} x{line.slots}"
    word = line.state.value.upper() if line.state.value in _BAD else line.state.value
    code = f" {line.exit}" if line.exit and line.state.value == "failed" else ""
    return f"{word}{code}" + ("" if line.claim else " (reset)")


def _took(line: CronPast | CronGap, now: float) -> float | None:
    from consul_lock import CronGap

    if isinstance(line, CronGap):
        return None
    if line.state.value in cron_text.UNDER_WAY:
        return float(max(0.0, round(now - line.claimed_at)))
    return line.runtime


def _bar(line: CronPast | CronGap, now: float, longest: float, room: int) -> str:
    took = _took(line, now)
    if took is None or room < 1:
        return ""
    length = max(1, round(room * took / longest) if longest else 1)
    return "#" * length


def summary(record: CronRecord, lines: Sequence[CronPast | CronGap], columns: int) -> str:
    """All of it, in as few lines as there is room for."""
    from consul_lock import CronGap

    runs = [line for line in lines if not isinstance(line, CronGap)]
    gaps = Counter[str]()
    for line in lines:
        if isinstance(line, CronGap):
            gaps[line.why] += line.slots
    states = Counter(run.state.value for run in runs)
    counts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    parts = [
        f"{cron_text.rhythm(record)}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}: {counts}"
    ]
    if gaps["missed"]:
        parts.append(f"{gaps['missed']} missed")
    skipped = [f"{gaps[why]} {word}" for why, word in _SKIPPED.items() if gaps[why]]
    if skipped:
        parts.append(f"skipped: {', '.join(skipped)}")
    took = [run.runtime for run in runs if run.runtime is not None]
    if took:
        usual, most = statistics.median(took), max(took)
        parts.append(f"took {show_duration(usual)} (median), {show_duration(most)} at most")
    text = parts[0]
    for part in parts[1:]:
        room = columns - width(text.rpartition("\n")[2]) - 2
        text += f"; {part}" if width(part) <= room else f";\n{part}"
    return text
