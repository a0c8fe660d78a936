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
    """Slots between two runs that no host has claimed."""

    epoch: float
    """The first of them, in seconds since the epoch."""
    slots: int
    """How many there are."""
    why: str = "missed"
    """Or "overlap" or "paused": hosts came to them, and skipped them on purpose."""

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

# Why slots were skipped on purpose, for the line that sums it up.
_SKIPPED = {"overlap": "for an overlap", "paused": "while paused"}

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
    ran = {run.slot for run in runs}
    skips = sorted(
        (skip.epoch, skip.why)
        for skip in record.skipped
        if skip.epoch is not None and skip.slot not in ran
    )
    lines = _runs_and_gaps(record, runs, now)
    return list(_merged(_with_skips(lines, skips, record.every), record.every))


def _with_skips(
    lines: list[CronPast | Gap], skips: list[tuple[float, str]], every: float | None
) -> list[CronPast | Gap]:
    """The lines, in which those slots that were skipped on purpose are not missed."""
    found: list[CronPast | Gap] = []
    left = list(skips)
    for line in lines:
        begins = line.epoch
        while left and begins is not None and left[0][0] < begins:
            found.append(Gap(left[0][0], 1, left.pop(0)[1]))
        if not isinstance(line, Gap) or every is None:
            found.append(line)
            continue
        at, end = line.epoch, line.epoch + line.slots * every
        while left and left[0][0] < end - every / 2:
            epoch, why = left.pop(0)
            if (before := round((epoch - at) / every)) > 0:
                found.append(Gap(at, before))
            found.append(Gap(epoch, 1, why))
            at = epoch + every
        if (rest := round((end - at) / every)) > 0:
            found.append(Gap(at, rest))
    return [*found, *(Gap(epoch, 1, why) for epoch, why in left)]


def _merged(lines: list[CronPast | Gap], every: float | None) -> Iterator[CronPast | Gap]:
    """Skipped slots that follow each other are one line."""
    last: CronPast | Gap | None = None
    for line in lines:
        if (
            every is not None
            and isinstance(last, Gap)
            and isinstance(line, Gap)
            and last.why == line.why
            and abs(last.epoch + last.slots * every - line.epoch) < every / 2
        ):
            last = last._replace(slots=last.slots + line.slots)
            continue
        if last is not None:
            yield last
        last = line
    if last is not None:
        yield last


def _runs_and_gaps(record: CronRecord, runs: list[CronPast], now: float) -> list[CronPast | Gap]:
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
        word = line.why.upper() if line.why in _BAD else line.why
        return word if line.slots == 1 else f"{word} x{line.slots}"
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
    gaps = Counter[str]()
    for line in lines:
        if isinstance(line, Gap):
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
