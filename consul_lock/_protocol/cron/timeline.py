"""The runs of a cron job in the order of time, and the slots that nobody has run.  Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from consul_lock._protocol.cron.record import CronPast, CronRecord, CronSkip
from consul_lock._protocol.cron.slot import slot_at
from consul_lock.errors import ConfigError

# Of the length of a slot: what differs by less is rounding.
_ROUNDING = 1e-6


class CronGap(NamedTuple):
    """Slots between two runs that no host has claimed."""

    epoch: float
    """The first of them, in seconds since the epoch."""
    slots: int
    """How many there are.  Of a cron expression at least so many, after the last run."""
    why: str = "missed"
    """Or "overlap" or "paused": hosts came to them, and skipped them on purpose."""

    @property
    def slot(self) -> str:
        """Its label."""
        try:
            return slot_at(self.epoch).label
        except ConfigError:
            return ""


class _Place(NamedTuple):
    """A slot that hosts came to, and what is known of those that follow it."""

    epoch: float
    every: float | None
    """Seconds from each to the next, if all are alike."""
    following: float | None
    """The next one; None: not known."""


def cron_timeline(record: CronRecord, now: float) -> list[CronPast | CronGap]:
    """The runs, the oldest first, and what was missed between them and after the last one.

    A slot is missed if nobody has claimed it and its time is over.  While the job is paused nothing
    is expected.  Of a job with an interval each missed slot is known, by the interval of the run
    before it.  Of one with a cron expression the claim that follows has counted them; after the
    last claim one slot is known, and is over when another would be due that is as long.  Where an
    older version wrote the record, slots of an expression are not known to be missed.
    """
    past = list(reversed(record.past(dead=record.crashed)))
    runs = [run for run in past if not run.extra]
    return _with_extras(_slots(record, runs, now), [run for run in past if run.extra])


def _slots(record: CronRecord, runs: list[CronPast], now: float) -> list[CronPast | CronGap]:
    ran = {run.slot for run in runs}
    left = deque(
        sorted(
            (skip for skip in record.skipped if skip.epoch is not None and skip.slot not in ran),
            key=lambda skip: (skip.epoch or 0.0, skip.why),
        )
    )
    found: list[CronPast | CronGap] = []
    last: _Place | None = None
    for run in runs:
        skips: list[CronSkip] = []
        while left and run.epoch is not None and (left[0].epoch or 0.0) < run.epoch:
            skips.append(left.popleft())
        found += _between(record, last, skips, run)
        found.append(run)
        last = _place_of_run(record, run)
    return [*found, *_after(record, last, list(left), now)]


def _place_of_run(record: CronRecord, run: CronPast) -> _Place | None:
    if run.epoch is None:
        return None
    # What an older version wrote of a run does not say how its host counted.
    unknown = run.every is None and not run.schedule
    return _Place(run.epoch, record.interval if unknown else run.interval, run.next_slot)


def _between(
    record: CronRecord, last: _Place | None, skips: list[CronSkip], run: CronPast
) -> Iterator[CronGap]:
    """What lies between a run (None: the beginning) and the next one."""
    found, place = _skipped(last, skips)
    if run.epoch is not None and (missed := _missed(place, run.epoch)):
        found.append(missed)
    every = last.every if last is not None else record.interval
    return _merged(found if every else _counted(found, run.gap), every)


def _after(
    record: CronRecord, last: _Place | None, skips: list[CronSkip], now: float
) -> Iterator[CronGap]:
    """What lies after the last run (None: there is none)."""
    found, place = _skipped(last, skips)
    pause = record.paused
    until = min(pause.at, now) if pause is not None and record.is_paused(now) else now
    length = None if place is None else _length(place)
    # The slot of this very moment may still be claimed.
    if length is not None and (missed := _missed(place, until - length)):
        found.append(missed)
    return _merged(found, last.every if last is not None else record.interval)


def _skipped(last: _Place | None, skips: list[CronSkip]) -> tuple[list[CronGap], _Place | None]:
    """Slots that were skipped, what was missed before each, and the last place of all."""
    found: list[CronGap] = []
    place = last
    for skip in skips:
        epoch = skip.epoch or 0.0
        if missed := _missed(place, epoch):
            found.append(missed)
        found.append(CronGap(epoch, 1, skip.why))
        place = last and _Place(epoch, last.every, skip.next_slot)
    return found, place


def _counted(found: list[CronGap], slots: int) -> list[CronGap]:
    """With as many slots in all as the claim that follows has counted."""
    left = slots - sum(gap.slots for gap in found)
    for at in reversed(range(len(found))):
        if found[at].why == "missed" and left > 0:
            found[at] = found[at]._replace(slots=found[at].slots + left)
            break
    return found


def _length(place: _Place) -> float | None:
    if place.every:
        return place.every
    length = None if place.following is None else place.following - place.epoch
    return length if length is not None and length > 0 else None


def _missed(last: _Place | None, until: float) -> CronGap | None:
    """The slots after a place that begin before a time."""
    if last is None:
        return None
    if not last.every:
        following = last.following
        over = following is not None and last.epoch < following < until
        return CronGap(following, 1) if over and following is not None else None
    # From a slot to the next it is one step; the end of the line is in the midst of one.
    steps = (until - last.epoch) / last.every
    slots = int(steps) - (1 if abs(steps - round(steps)) < _ROUNDING else 0)
    return CronGap(last.epoch + last.every, slots) if slots > 0 else None


def _merged(found: list[CronGap], every: float | None) -> Iterator[CronGap]:
    """Skipped slots that follow each other at an interval are one line."""
    last: CronGap | None = None
    for gap in found:
        if (
            every
            and last is not None
            and last.why == gap.why
            and abs(last.epoch + last.slots * every - gap.epoch) < every / 2
        ):
            last = last._replace(slots=last.slots + gap.slots)
            continue
        if last is not None:
            yield last
        last = gap
    if last is not None:
        yield last


def _with_extras(
    lines: list[CronPast | CronGap], extras: list[CronPast]
) -> list[CronPast | CronGap]:
    """Each before the first line that began after it."""
    found = list(lines)
    for extra in extras:
        later = (at for at, line in enumerate(found) if _began(line) > extra.claimed_at)
        found.insert(next(later, len(found)), extra)
    return found


def _began(line: CronPast | CronGap) -> float:
    return line.epoch if isinstance(line, CronGap) else line.claimed_at
