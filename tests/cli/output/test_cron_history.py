"""The history as a line of time: what was missed, and what fits into a terminal."""

from __future__ import annotations

import click
import pytest

from consul_lock import CronPast, CronPause, CronSkip, CronState
from consul_lock_cli.output.cron_history import Gap, history_table, timeline
from tests.cli.output.examples import ESCAPES, HOUR, NOW, SLOT, past, record


def _seen(lines: list[CronPast | Gap]) -> list[str]:
    return [f"missed {each.slots}" if isinstance(each, Gap) else each.state.value for each in lines]


def test_slots_that_nobody_has_run_are_missed() -> None:
    """Between two runs; a second attempt of the same slot is no gap."""
    history = (past(3, CronState.TIMEOUT), past(5, attempt=2), past(5, CronState.FAILED), past(6))
    lines = timeline(record(history=history), NOW)
    assert _seen(lines) == ["done", "failed", "done", "missed 1", "timeout", "missed 2", "done"]
    gap = lines[5]
    assert isinstance(gap, Gap)
    assert (gap.epoch, gap.slot) == (SLOT - 2 * HOUR, "2026-11-21T15:00:00Z")


@pytest.mark.parametrize(
    "hours, missed", [(0.0, 0), (1.0, 0), (1.99, 0), (2.0, 0), (2.01, 1), (3.5, 2)]
)
def test_a_slot_is_not_missed_before_it_is_over(hours: float, missed: int) -> None:
    """That of this very moment may still be claimed."""
    _, *rest = timeline(record(), SLOT + hours * HOUR)
    assert _seen(rest) == ([f"missed {missed}"] if missed else [])


def test_while_it_is_paused_none_is_expected() -> None:
    """What was due before the pause was missed all the same, and after its end again."""
    pause = CronPause("ann", SLOT + 2.5 * HOUR, None, "")
    late = SLOT + 9 * HOUR
    assert _seen(timeline(record(paused=pause), late)) == ["done", "missed 1"]
    early = pause._replace(at=SLOT + 0.5 * HOUR)
    assert _seen(timeline(record(paused=early), late)) == ["done"]
    over = early._replace(until=SLOT + HOUR)
    assert _seen(timeline(record(paused=over), late)) == ["done", "missed 7"]


def test_without_an_interval_nothing_can_be_missed() -> None:
    """IDs follow no clock; and a job that never ran has no history."""
    ids = record(every=None, epoch=None, slot="b", history=(past(9),))
    assert _seen(timeline(ids, NOW)) == ["done", "done"]
    mixed = record(epoch=None, slot="b", history=(past(9),))
    assert _seen(timeline(mixed, NOW)) == ["done", "done"]
    assert timeline(record(slot="", attempt=0), NOW) == []


def test_a_run_of_a_dead_host_is_lost() -> None:
    """Though its record says that it runs."""
    dead = record(state=CronState.RUNNING, crashed=True)
    assert _seen(timeline(dead, NOW)) == ["lost"]


_RUNS = record(
    state=CronState.RUNNING,
    runtime=None,
    exit=None,
    history=(past(2, CronState.FAILED, exit=3, runtime=60.0, attempt=2), past(5, claim="")),
)


def _table(columns: int) -> list[str]:
    return click.unstyle(history_table(_RUNS, timeline(_RUNS, NOW), NOW, columns)).split("\n")


def test_a_line_for_each_run_and_one_that_sums_it_up() -> None:
    """Bad states are in capitals; a run under way lasts until now; bars show how long."""
    head, *rows, summary = _table(150)
    assert head.split() == ["SLOT", "RESULT", "TOOK", "TRY", "HOST"]
    assert [row.split() for row in rows] == [
        ["2026-11-21", "12:00Z", "done", "(reset)", "6s", "1", "web3", "#"],
        ["2026-11-21", "13:00Z", "MISSED", "x2", "-", "-", "-"],
        ["2026-11-21", "15:00Z", "FAILED", "3", "1m00s", "2", "web3", "#" * 12],
        ["2026-11-21", "16:00Z", "MISSED", "-", "-", "-"],
        ["2026-11-21", "17:00Z", "running", "3m14s", "1", "web3", "#" * 40],
    ]
    assert summary == (
        "every 1h: 3 runs: 1 done, 1 failed, 1 running; 3 missed;"
        " took 33s (median), 1m00s at most"
    )  # fmt: skip


@pytest.mark.parametrize("columns", [150, 100, 80, 70, 64, 63, 60, 50, 49, 42])
def test_it_fits_into_the_terminal(columns: int) -> None:
    """Without bars, years and attempts where there is no room for them."""
    head, *rows = _table(columns)
    text = "\n".join(rows)
    assert all(len(line) <= columns for line in [head, *rows] if "runs" not in line)
    assert ("#" in text, "2026-" in text, "TRY" in head) == (
        columns >= 64,
        columns >= 50,
        columns >= 50,
    )
    # What sums it up is broken into lines, not cut.
    assert " ".join(rows).endswith(_table(150)[-1])


def test_runs_that_took_no_time_have_a_bar_too() -> None:
    """Of one character: it has run."""
    seen = record(runtime=0.0)
    _, row, summary = history_table(seen, timeline(seen, NOW), NOW, 80).split("\n")
    assert row.endswith("  #")
    assert summary == "every 1h: 1 run: 1 done; took 0s (median), 0s at most"


def test_nothing_that_others_write_moves_the_cursor() -> None:
    """In a host, a schedule or an ID."""
    odd = record(host=ESCAPES, schedule=ESCAPES, slot=ESCAPES, epoch=None, every=None)
    text = click.unstyle(history_table(odd, timeline(odd, NOW), NOW, 200))
    assert text.replace("\n", "").isprintable()
    assert text.count("\\x1b[2J") == 3


def _skips(*skips: tuple[float, str]) -> tuple[CronSkip, ...]:
    found = [(SLOT - ago * HOUR, why) for ago, why in skips]
    return tuple(CronSkip(f"slot {epoch}", epoch, why) for epoch, why in found)


def test_slots_that_hosts_skipped_are_not_missed() -> None:
    """Between two runs, after the last one, and while it is paused; each with its reason."""
    skipped = _skips((2, "paused"), (3, "overlap"), (4, "overlap"))
    lines = timeline(record(history=(past(6),), skipped=skipped), NOW)
    kinds = [(each.why, each.slots) for each in lines if isinstance(each, Gap)]
    assert kinds == [("missed", 1), ("overlap", 2), ("paused", 1), ("missed", 1)]
    pause = CronPause("ann", SLOT + 0.5 * HOUR, None, "")
    later = _skips((-2, "paused"), (-1, "paused"))
    last = timeline(record(paused=pause, skipped=later), SLOT + 2.5 * HOUR)[-1]
    assert last == Gap(SLOT + HOUR, 2, "paused")
    text = history_table(record(), [*lines, last], NOW, 150)
    assert "3 skipped" not in text
    assert "2 missed; skipped: 2 for an overlap, 3 while paused" in text


def test_a_skipped_slot_that_another_host_ran_is_a_run() -> None:
    """The run before was over by then."""
    skip = CronSkip(past(1).slot, past(1).epoch, "overlap")
    assert _seen(timeline(record(history=(past(1),), skipped=(skip,)), NOW)) == ["done", "done"]


def test_skipped_slots_of_a_cron_expression_are_shown_where_they_belong() -> None:
    """Though there nothing is known to be missed."""
    skipped = _skips((2, "overlap"))
    lines = timeline(record(every=None, schedule="0 * * * *", history=(past(4),), skipped=skipped),
                     NOW)  # fmt: skip
    assert [getattr(each, "why", "run") for each in lines] == ["run", "overlap", "run"]


def test_an_extra_run_stands_where_its_time_is_and_fills_no_gap() -> None:
    """It has no slot, so one that was missed stays missed."""
    extra = past(1, claimed_at=SLOT - 1.5 * HOUR)._replace(slot="", epoch=None, attempt=0)
    lines = timeline(record(history=(extra, past(3))), NOW)
    assert [getattr(each, "slots", each.attempt if not isinstance(each, Gap) else 0)
            for each in lines] == [1, 2, 0, 1]  # fmt: skip
