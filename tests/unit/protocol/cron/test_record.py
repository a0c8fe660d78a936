"""The record of a cron job: pauses, its history, and a run that cannot be alive any more."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.cron.record import (
    ADVICE,
    EXTRA_MAX,
    CronPast,
    CronPause,
    CronProblem,
    CronRecord,
    CronState,
    kept,
)

OLD = CronPast("old", None, 1, CronState.DONE, "h", "c", 0.0, 1.0, 0)


def pause(until: float | None) -> CronPause:
    return CronPause("me", 0.0, until, "")


@pytest.mark.parametrize(
    "until, now, paused, left",
    [
        (None, 10.0**9, True, True),
        (100.0, 99.9, True, True),
        (100.0, 100.0, False, True),
        (100.0, 100.0 + 86399, False, True),
        (100.0, 100.0 + 86400, False, False),
    ],
)
def test_a_pause_ends_by_the_clock_and_is_forgotten_a_day_later(
    until: float | None, now: float, paused: bool, left: bool
) -> None:
    """Not at once, as by the clock of another host it may not be over."""
    record = CronRecord("job", paused=pause(until))
    assert record.is_paused(now) is paused
    assert record.pause_left(now) == (record.paused if left else None)
    assert not CronRecord("job").is_paused(now)
    assert CronRecord("job").pause_left(now) is None


@pytest.mark.parametrize(
    "fields, dead, added",
    [
        ({}, True, None),
        ({"slot": "t", "epoch": 5.0}, True, None),  # a time that an operator has set
        ({"slot": "t", "epoch": 5.0, "attempt": 1, "state": CronState.DONE}, True, CronState.DONE),
        ({"slot": "id", "state": CronState.IDLE}, True, CronState.IDLE),
        ({"slot": "t", "attempt": 1, "state": CronState.RUNNING}, True, CronState.LOST),
        ({"slot": "t", "attempt": 1, "state": CronState.CLAIMED}, True, CronState.LOST),
        ({"slot": "t", "attempt": 1, "state": CronState.RUNNING}, False, CronState.RUNNING),
        ({"slot": "t", "attempt": 1, "state": CronState.FAILED}, True, CronState.FAILED),
    ],
)
def test_the_last_run_comes_first_in_the_history(
    fields: dict[str, Any], dead: bool, added: CronState | None
) -> None:
    """If there was one; of a dead one that was under way it says that it was lost."""
    record = CronRecord("job", host="web3", claim="c", exit=3, history=(OLD,), **fields)
    newest = record.past(dead=dead)[:-1]
    assert [(past.state, past.host, past.claim, past.exit) for past in newest] == (
        [] if added is None else [(added, "web3", "c", 3)]
    )
    assert record.past(dead=dead)[-1] is OLD


@pytest.mark.parametrize("crashed, shown", [(True, CronState.LOST), (False, CronState.RUNNING)])
def test_a_run_whose_process_is_dead_is_shown_as_lost(crashed: bool, shown: CronState) -> None:
    """Though the record says what it said."""
    record = CronRecord("job", state=CronState.RUNNING, crashed=crashed)
    assert (record.shown, record.state) == (shown, CronState.RUNNING)


def test_a_problem_is_shown_without_its_key_and_the_advice() -> None:
    """A table has the key in a column of its own, and no room for advice."""
    said = f"'job/.cron': it is not JSON; {ADVICE}"
    assert CronProblem("job", CronRecord("job").key, said).why == "it is not JSON"


def test_extra_runs_take_no_place_of_a_slot_in_the_history() -> None:
    """So many runs of slots are kept, and the extra ones among them, up to a number of their own:
    an ID that is forgotten would be run once more."""
    run = CronPast("a", None, 1, CronState.DONE, "h", "c", 0.0, 1.0, 0)
    extra = run._replace(slot="", attempt=0)
    history = (extra, run, extra, run, extra, run)
    assert kept(history, 2) == history[:5]
    assert kept(history, 0) == (extra,)
    assert len(kept((extra,) * (EXTRA_MAX + 5), 1)) == EXTRA_MAX
    assert [past.extra for past in history[:2]] == [True, False]


def test_a_run_keeps_how_its_host_counted() -> None:
    """When the next claim puts it into the history."""
    record = CronRecord(
        "job", "t", 5.0, "c", 1, every=60.0, offset=7.0, schedule="x", next_slot=65.0, gap=3
    )
    (run,) = record.past(dead=False)
    assert (run.every, run.offset, run.schedule) == (60.0, 7.0, "x")
    assert (run.next_slot, run.gap) == (65.0, 3)


@pytest.mark.parametrize(
    "every, interval",
    [(None, None), (60.0, 60.0), (1.0, 1.0), (0.9, None), (-60.0, None), (1e300, None)],
)
def test_an_interval_is_one_that_a_job_can_have(
    every: float | None, interval: float | None
) -> None:
    """Others may have written any number."""
    assert CronRecord("job", every=every).interval == interval
    assert OLD._replace(every=every).interval == interval


@pytest.mark.parametrize(
    "claimed, runtime, end",
    [(5.0, 2.5, 7.5), (5.0, None, None), (1e308, 1e308, None)],
)
def test_a_run_ended_after_it_was_claimed(
    claimed: float, runtime: float | None, end: float | None
) -> None:
    """As far as that is known, and a number."""
    assert OLD._replace(claimed_at=claimed, runtime=runtime).finished_at == end
