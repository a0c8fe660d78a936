"""What a run says of the one before it: that it was lost, or that slots in between were missed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from consul_lock_cli import FIRED_AT
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.text import shown
from consul_lock_cli.spec.cron import short

if TYPE_CHECKING:
    from consul_lock import CronGap, CronPast, CronRecord


class PreviousRun:
    """``record`` is that of the run which has just claimed its slot: its history has the others.

    With --history 0 nothing is known of them.
    """

    def __init__(self, record: CronRecord) -> None:
        self._record = record
        # An extra run is outside of the slots.
        runs = (run for run in record.history if not run.extra)
        self._run: CronPast | None = next(runs, None)

    @property
    def lost(self) -> CronPast | None:
        """The run before, or attempt at the same slot, if it was lost."""
        run = self._run
        return run if run is not None and run.claim and run.state.value == "lost" else None

    def missed(self) -> tuple[str, float, int] | None:
        """The first slot since then that no host has run, its time, and how many there are.

        Nothing is missed by a pause or a reset, nor while the run
        before was still alive: it was said then that the slot was skipped.
        """
        from consul_lock import CronGap, cron_timeline

        run, record = self._run, self._record
        if run is None or not run.claim:
            return None
        if record.changed is not None and record.changed.at >= run.claimed_at:
            return None
        # The present run is the last in it; what may be missed after it is not known yet.
        gaps: list[CronGap] = []
        for line in cron_timeline(record, record.epoch or 0.0)[:-1]:
            if isinstance(line, CronGap):
                gaps.append(line)
            elif not line.extra:
                gaps = []
        busy = run.claimed_at + (run.runtime or 0.0)
        left = [each for gap in gaps if (each := _after(gap, busy, record.interval)).slots > 0]
        if not left:
            return None
        return left[0].slot, left[0].epoch, sum(gap.slots for gap in left)

    def tell(self, title: str, console: Console) -> None:
        """Warn of what there is."""
        if (lost := self.lost) is not None:
            slot = short(lost.slot, lost.epoch, FIRED_AT)
            console.warn(
                f"job {title}: the run before was lost: slot {slot}, attempt {lost.attempt}, on"
                f" {shown(lost.host)}",
                event="previous-lost",
                lost_slot=lost.slot,
                lost_host=lost.host,
            )
        if (missed := self.missed()) is not None:
            label, epoch, slots = missed
            slot = short(label, epoch, FIRED_AT)
            what = f"slot {slot} was missed: no host has run it"
            if slots > 1:
                what = f"{slots} slots were missed, from {slot} on: no host has run them"
            console.warn(
                f"job {title}: {what}",
                event="missed",
                missed_slot=label,
                missed_slots=slots,
            )


def _after(gap: CronGap, busy: float, every: float | None) -> CronGap:
    """The slots of it that were missed, and began when the run before was over; without an interval
    nothing is known of those after the first one."""
    if every is None:
        return gap if gap.why == "missed" and gap.epoch >= busy else gap._replace(slots=0)
    skipped = max(0, math.ceil((busy - gap.epoch) / every)) if gap.why == "missed" else gap.slots
    return gap._replace(epoch=gap.epoch + skipped * every, slots=gap.slots - skipped)
