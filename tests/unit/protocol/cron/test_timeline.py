"""The history as a line of time: runs, and the slots that nobody has run."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock import CronGap, CronPast, CronPause, CronRecord, CronSkip, CronState, cron_timeline
from tests.cli.output.examples import HOUR, NOW, SLOT, past, record


def _seen(lines: list[CronPast | CronGap]) -> list[str]:
    return [
        f"{each.why} {each.slots}" if isinstance(each, CronGap) else each.state.value
        for each in lines
    ]


def test_slots_that_nobody_has_run_are_missed() -> None:
    """Between two runs; a second attempt of the same slot is no gap."""
    history = (past(3, CronState.TIMEOUT), past(5, attempt=2), past(5, CronState.FAILED), past(6))
    lines = cron_timeline(record(history=history), NOW)
    assert _seen(lines) == ["done", "failed", "done", "missed 1", "timeout", "missed 2", "done"]
    gap = lines[5]
    assert isinstance(gap, CronGap)
    assert (gap.epoch, gap.slot) == (SLOT - 2 * HOUR, "2026-11-21T15:00:00Z")


@pytest.mark.parametrize(
    "hours, missed", [(0.0, 0), (1.0, 0), (1.99, 0), (2.0, 0), (2.01, 1), (3.5, 2)]
)
@pytest.mark.parametrize("more", [{}, {"next_slot": SLOT + HOUR}])
def test_a_slot_is_not_missed_before_it_is_over(
    hours: float, missed: int, more: dict[str, Any]
) -> None:
    """That of this very moment may still be claimed."""
    _, *rest = cron_timeline(record(**more), SLOT + hours * HOUR)
    assert _seen(rest) == ([f"missed {missed}"] if missed else [])


def test_while_it_is_paused_none_is_expected() -> None:
    """What was due before the pause was missed all the same, and after its end again."""
    pause = CronPause("ann", SLOT + 2.5 * HOUR, None, "")
    late = SLOT + 9 * HOUR
    assert _seen(cron_timeline(record(paused=pause), late)) == ["done", "missed 1"]
    early = pause._replace(at=SLOT + 0.5 * HOUR)
    assert _seen(cron_timeline(record(paused=early), late)) == ["done"]
    over = early._replace(until=SLOT + HOUR)
    assert _seen(cron_timeline(record(paused=over), late)) == ["done", "missed 7"]
    absurd = pause._replace(at=1e308)
    assert _seen(cron_timeline(record(paused=absurd), late)) == ["done", "missed 7"]


def test_without_a_schedule_nothing_can_be_missed() -> None:
    """IDs follow no clock; and a job that never ran has no history."""
    ids = record(every=None, epoch=None, slot="b", history=(past(9),))
    assert _seen(cron_timeline(ids, NOW)) == ["done", "done"]
    mixed = record(epoch=None, slot="b", history=(past(9),))
    assert _seen(cron_timeline(mixed, NOW)) == ["done", "done"]
    assert cron_timeline(record(slot="", attempt=0), NOW) == []


def test_a_run_of_a_dead_host_is_lost() -> None:
    """Though its record says that it runs."""
    dead = record(state=CronState.RUNNING, crashed=True)
    assert _seen(cron_timeline(dead, NOW)) == ["lost"]


def _skips(*skips: tuple[float, str]) -> tuple[CronSkip, ...]:
    found = [(SLOT - ago * HOUR, why) for ago, why in skips]
    return tuple(CronSkip(f"slot {epoch}", epoch, why) for epoch, why in found)


def test_slots_that_hosts_skipped_are_not_missed() -> None:
    """Between two runs, after the last one, and while it is paused; each with its reason."""
    skipped = _skips((2, "paused"), (3, "overlap"), (4, "overlap"))
    lines = cron_timeline(record(history=(past(6),), skipped=skipped), NOW)
    assert _seen(lines) == ["done", "missed 1", "overlap 2", "paused 1", "missed 1", "done"]
    pause = CronPause("ann", SLOT + 0.5 * HOUR, None, "")
    later = _skips((-2, "paused"), (-1, "paused"))
    last = cron_timeline(record(paused=pause, skipped=later), SLOT + 2.5 * HOUR)[-1]
    assert last == CronGap(SLOT + HOUR, 2, "paused")
    after = cron_timeline(record(skipped=later), SLOT + 4.5 * HOUR)
    assert _seen(after) == ["done", "paused 2", "missed 1"]


def test_a_skipped_slot_that_another_host_ran_is_a_run() -> None:
    """The run before was over by then."""
    skip = CronSkip(past(1).slot, past(1).epoch, "overlap")
    runs = record(history=(past(1),), skipped=(skip,))
    assert _seen(cron_timeline(runs, NOW)) == ["done", "done"]


def test_skipped_slots_before_the_first_run_are_shown() -> None:
    """As those of a job that is paused before it ever ran."""
    skipped = _skips((1, "paused"), (2, "paused"))
    assert _seen(cron_timeline(record(skipped=skipped), NOW)) == ["paused 2", "done"]
    never = CronRecord("new", every=HOUR, skipped=skipped)
    assert _seen(cron_timeline(never, NOW)) == ["paused 2"]


_NIGHTLY: dict[str, Any] = {"every": None, "schedule": "0 3 * * 1-5 UTC"}


def _night(ago: int, following: float | None, **more: Any) -> CronPast:
    next_slot = None if following is None else SLOT - following * HOUR
    return past(ago, schedule=_NIGHTLY["schedule"], next_slot=next_slot, **more)


def test_slots_of_a_cron_expression_are_missed_as_the_next_claim_has_counted() -> None:
    """Without the expression: the first of them is where the run before expected it."""
    runs = record(**_NIGHTLY, history=(_night(9, 8),), gap=3, next_slot=SLOT + HOUR)
    lines = cron_timeline(runs, NOW)
    assert _seen(lines) == ["done", "missed 3", "done"]
    assert getattr(lines[1], "epoch", None) == SLOT - 8 * HOUR
    skips = (CronSkip("a", SLOT - 8 * HOUR, "paused", SLOT - 5 * HOUR),)
    lines = cron_timeline(
        record(**_NIGHTLY, history=(_night(9, 8),), gap=3, skipped=skips), NOW
    )  # fmt: skip
    assert _seen(lines) == ["done", "paused 1", "missed 2", "done"]
    assert getattr(lines[2], "epoch", None) == SLOT - 5 * HOUR


def test_slots_of_a_cron_expression_that_nobody_has_counted_are_one_at_least() -> None:
    """As after the last claim, once a slot that is as long as the last one is over."""
    old = record(**_NIGHTLY, history=(_night(9, None),))
    assert _seen(cron_timeline(old, SLOT + 99 * HOUR)) == ["done", "done"]
    uncounted = record(**_NIGHTLY, history=(_night(9, 8),))
    assert _seen(cron_timeline(uncounted, NOW)) == ["done", "missed 1", "done"]
    running = record(**_NIGHTLY, next_slot=SLOT + 2 * HOUR)
    for hours, missed in ((2, []), (3.9, []), (4.1, ["missed 1"]), (99, ["missed 1"])):
        lines = cron_timeline(running, SLOT + hours * HOUR)
        assert _seen(lines) == ["done", *missed], hours


def test_skipped_slots_of_a_cron_expression_are_shown_where_they_belong() -> None:
    """Though an older version did not say what follows them."""
    skipped = _skips((2, "overlap"))
    runs = record(every=None, schedule="0 * * * *", history=(past(4),), skipped=skipped)
    assert _seen(cron_timeline(runs, NOW)) == ["done", "overlap 1", "done"]


def test_each_run_counts_by_the_interval_of_its_host() -> None:
    """Where an interval was changed; what an older version wrote has that of the record."""
    history = (past(2, every=HOUR / 2), past(4))
    lines = cron_timeline(record(history=history), NOW)
    assert _seen(lines) == ["done", "missed 1", "done", "missed 3", "done"]


@pytest.mark.parametrize("every", [1e-300, -5.0, 0.0, 1e300])
def test_an_interval_that_no_job_has_counts_nothing(every: float) -> None:
    """Others may have written any number."""
    runs = record(every=every, history=(past(9, every=every),))
    assert _seen(cron_timeline(runs, NOW)) == ["done", "done"]


def test_an_extra_run_stands_where_its_time_is_and_fills_no_gap() -> None:
    """It has no slot, so one that was missed stays missed."""
    extra = past(1, claimed_at=SLOT - 1.5 * HOUR)._replace(slot="", epoch=None, attempt=0)
    lines = cron_timeline(record(history=(extra, past(3))), NOW)
    assert [
        each.slots if isinstance(each, CronGap) else f"attempt {each.attempt}" for each in lines
    ] == ["attempt 1", 2, "attempt 0", "attempt 1"]


def test_a_gap_at_a_time_that_no_calendar_has_has_no_label() -> None:
    """It is shown all the same."""
    assert CronGap(1e300, 1).slot == ""
