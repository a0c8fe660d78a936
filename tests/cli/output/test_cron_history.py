"""The history as a table: what fits into a terminal, and what sums it up."""

from __future__ import annotations

import click
import pytest

from consul_lock import CronGap, CronState, cron_timeline
from consul_lock_cli.output.cron_history import history_table
from tests.cli.output.examples import ESCAPES, HOUR, NOW, SLOT, past, record

_RUNS = record(
    state=CronState.RUNNING,
    runtime=None,
    exit=None,
    history=(past(2, CronState.FAILED, exit=3, runtime=60.0, attempt=2), past(5, claim="")),
)


def _table(columns: int) -> list[str]:
    return click.unstyle(history_table(_RUNS, cron_timeline(_RUNS, NOW), NOW, columns)).split("\n")


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
    _, row, summary = history_table(seen, cron_timeline(seen, NOW), NOW, 80).split("\n")
    assert row.endswith("  #")
    assert summary == "every 1h: 1 run: 1 done; took 0s (median), 0s at most"


def test_nothing_that_others_write_moves_the_cursor() -> None:
    """In a host, a schedule or an ID."""
    odd = record(host=ESCAPES, schedule=ESCAPES, slot=ESCAPES, epoch=None, every=None)
    text = click.unstyle(history_table(odd, cron_timeline(odd, NOW), NOW, 200))
    assert text.replace("\n", "").isprintable()
    assert text.count("\\x1b[2J") == 3


def test_slots_that_were_skipped_on_purpose_are_summed_up_by_their_reason() -> None:
    """Apart from those that were missed."""
    gaps = [CronGap(SLOT - ago * HOUR, 1, why) for ago, why in ((5, "missed"), (4, "paused"))]
    lines = [past(6), *gaps, CronGap(SLOT - 3 * HOUR, 2, "overlap"), past(0)]
    text = history_table(record(), lines, NOW, 150)
    assert "1 missed; skipped: 2 for an overlap, 1 while paused" in text
    assert [row.split()[2:4] for row in click.unstyle(text).split("\n")[2:5]] == [
        ["MISSED", "-"], ["paused", "-"], ["overlap", "x2"],
    ]  # fmt: skip
