"""What a plugin says of a cron job: each way in which it can be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock import CronPause, CronProblem, CronRecord, CronState
from consul_lock_cli.check.cron_job import CronLimits, cron_metrics, judge_cron_job
from consul_lock_cli.check.plugin_line import plugin_line
from consul_lock_cli.check.state import State
from tests.cli.check.plugin_line_reader import read
from tests.cli.output.examples import ESCAPES, HOUR, NOW, SLOT, past, record

_PAUSE = CronPause("ann@adm", NOW - 60, None, "deploy")
_FAILED: dict[str, Any] = {"state": CronState.FAILED, "exit": 3}


def judged(
    seen: CronRecord | CronProblem, now: float = NOW, **limits: Any
) -> tuple[str, list[str]]:
    """The state, and the problems."""
    verdict = judge_cron_job(seen, now, CronLimits(**limits))
    return verdict.state.name, [problem.text for problem in verdict.problems]


def test_a_job_that_ran_is_fine() -> None:
    """It says what it did, and what is next."""
    verdict = judge_cron_job(record(), NOW, CronLimits())
    assert (verdict.name, verdict.state) == ("backup", State.OK)
    assert verdict.text == "done exit 0 in 12s, next slot 18:00Z"
    ids = judge_cron_job(record(every=None, epoch=None, slot="v1"), NOW + 99 * HOUR, CronLimits())
    assert (ids.state, ids.text) == (State.OK, "done exit 0 in 12s")
    new = judge_cron_job(CronRecord("new"), NOW, CronLimits())
    assert (new.state, new.text) == (State.OK, "no run yet")


@pytest.mark.parametrize(
    "late, grace, state",
    [(299, 300.0, "OK"), (301, 300.0, "CRITICAL"), (301, 600.0, "OK"), (1, 0.0, "CRITICAL")],
)
def test_overdue_beyond_the_grace_is_critical(late: float, grace: float, state: str) -> None:
    """Counted from when it is due, which is a second after the hour with this job."""
    found, problems = judged(record(), SLOT + HOUR + 1 + late, grace=grace)
    assert found == state
    if state == "CRITICAL":
        duration = f"{late // 60}m{late % 60:02}s" if late > 60 else f"{late}s"
        assert problems == [f"overdue by {duration}: slot 18:00Z was not run"]


@pytest.mark.parametrize(
    "more, text",
    [
        ({"state": CronState.LOST}, "lost with exit 0 on web3"),
        ({"state": CronState.RUNNING, "crashed": True, "exit": None}, "lost"),
        ({"state": CronState.TIMEOUT, "exit": 143},
         "stopped for its time limit with exit 143 on web3"),
        (_FAILED, "failed with exit 3 on web3"),
    ],
)  # fmt: skip
def test_a_run_that_did_not_end_well_is_critical(more: dict[str, Any], text: str) -> None:
    """Lost, timed out, failed."""
    state, (problem,) = judged(record(**more))
    assert state == "CRITICAL"
    assert problem.startswith(text)


def test_fewer_failures_than_asked_for_are_a_warning() -> None:
    """N in a row are critical; lost and timed out are so at once."""
    once = record(**_FAILED, history=(past(1),))
    assert judged(once, max_failures=2) == (
        "WARNING", ["failed with exit 3 on web3 (critical from 2 on)"],
    )  # fmt: skip
    twice = record(**_FAILED, history=(past(1, CronState.TIMEOUT), past(2)))
    assert judged(twice, max_failures=2) == (
        "CRITICAL", ["failed with exit 3 on web3, 2 in a row"],
    )  # fmt: skip
    lost = record(state=CronState.LOST, exit=None, history=(past(1, CronState.FAILED), past(2)))
    assert judged(lost, max_failures=9) == (
        "CRITICAL", ["lost on web3, 2 failures in a row"],
    )  # fmt: skip


def test_a_run_under_way_does_not_hide_how_the_last_one_ended() -> None:
    """Else the state would be good during each run of a job that always fails."""
    running = record(state=CronState.RUNNING, exit=None, history=(past(1, **_FAILED),))
    assert judged(running) == ("CRITICAL", ["failed"])
    assert judged(record(state=CronState.RUNNING, exit=None, history=(past(1),)))[0] == "OK"


def test_a_run_that_takes_too_long_is_critical() -> None:
    """Paused or not; one that is over is judged by its end."""
    running = record(state=CronState.RUNNING, started_at=NOW - 7300)
    text = "has been running for 2h01m (more than 2h00m)"
    assert judged(running, max_runtime=7200.0) == ("CRITICAL", [text])
    assert judged(running, max_runtime=7400.0)[0] == "OK"
    assert judged(running)[0] == "OK"
    paused = record(state=CronState.RUNNING, started_at=NOW - 7300,
                    paused=_PAUSE._replace(until=NOW + 60))  # fmt: skip
    assert judged(paused, max_runtime=7200.0) == ("CRITICAL", [text])
    assert judged(record(runtime=9999.0), max_runtime=7200.0)[0] == "OK"


def test_a_pause_with_an_end_is_fine_and_one_without_a_warning() -> None:
    """What was wrong before it is known to who paused it; nothing is overdue meanwhile."""
    until = record(**_FAILED, paused=_PAUSE._replace(until=NOW + 5 * HOUR))
    for now in (NOW, NOW + 4 * HOUR):
        verdict = judge_cron_job(until, now, CronLimits())
        assert verdict.state is State.OK
        assert verdict.text.startswith("paused by ann@adm until ")
    for_ever = record(**_FAILED, paused=_PAUSE)
    assert judged(for_ever, NOW + 99 * HOUR) == (
        "WARNING", ["paused without an end by ann@adm: deploy"],
    )  # fmt: skip


def test_hosts_that_disagree_are_a_warning() -> None:
    """With the schedule of each."""
    differ = record(every=600.0, history=(past(1, host="web1", every=900.0),
                                          past(2, every=600.0)))  # fmt: skip
    assert judged(differ, grace=9 * HOUR) == (
        "WARNING", ["hosts disagree: every 10m on web3, every 15m on web1"],
    )  # fmt: skip


def test_a_slot_that_is_far_ahead_is_critical() -> None:
    """No host claims one until it is reset; a little is no more than clocks may differ."""
    state, (problem,) = judged(record(), SLOT - 3 * HOUR)
    assert state == "CRITICAL"
    assert problem.startswith("its last slot is 3h00m ahead: a clock was wrong")
    assert judged(record(), SLOT - 0.9 * HOUR)[0] == "OK"
    nightly = record(every=None, schedule="0 17 * * * UTC", next_slot=SLOT + 24 * HOUR)
    assert [judged(nightly, SLOT - hours * HOUR)[0] for hours in (23, 25)] == ["OK", "CRITICAL"]
    old = record(every=None, schedule="0 17 * * * UTC")
    assert judged(old, SLOT - HOUR)[0] == "CRITICAL"


def test_a_record_that_cannot_be_read_is_unknown() -> None:
    """With the reason, and without advice."""
    bad = CronProblem("bad", "bad/.cron", "'bad/.cron': it is no record")
    assert judged(bad) == ("UNKNOWN", ["unreadable: it is no record"])


def test_several_problems_are_all_named_the_worst_first() -> None:
    """The state is the worst of them."""
    history = (past(1, host="web1", every=900.0), past(2, every=HOUR))
    bad = record(**_FAILED, history=history)
    state, problems = judged(bad, SLOT + 3 * HOUR, max_failures=5)
    assert state == "CRITICAL"
    assert [problem.partition(" ")[0] for problem in problems] == ["overdue", "failed", "hosts"]


def test_numbers_of_one_job_and_of_several() -> None:
    """With the limits that were asked for."""
    limits = CronLimits(60.0, 3, 7200.0)
    running = record(state=CronState.RUNNING, started_at=NOW - 60, last_success=NOW - HOUR)
    jobs = [running, record(**_FAILED), record(paused=_PAUSE)]
    verdicts = [judge_cron_job(job, NOW, limits) for job in jobs]
    one = read(plugin_line(State.OK, "x", cron_metrics(jobs[:1], verdicts[:1], NOW, limits)))[2]
    assert one == [
        "'overdue'=0s;;60;0", "'running'=60s;;7200;0", "'failures'=0;0;2;0", "'missed'=0;;;0",
        "'since_success'=3600s;;;0",
    ]  # fmt: skip
    several = read(plugin_line(State.OK, "x", cron_metrics(jobs, verdicts, NOW, limits)))[2]
    assert several[:4] == [
        "'jobs'=3;;;0", "'critical'=0;;0;0", "'warning'=2;0;;0", "'unknown'=0;;;0",
    ]  # fmt: skip
    assert several[6] == "'failures'=1;0;2;0"
    ids = record(every=None, epoch=None, slot="v1", state=CronState.RUNNING, finished_at=None)
    unknown = cron_metrics([ids], [judge_cron_job(ids, NOW, limits)], NOW, limits)
    assert "'overdue'=U;;60;0" in plugin_line(State.OK, "x", unknown)
    assert "'since_success'=U;;;0" in plugin_line(State.OK, "x", unknown)
    assert cron_metrics([], [verdicts[0]], NOW, limits)[-1].value is None


def test_nothing_that_others_write_is_obeyed() -> None:
    """In no field that is shown."""
    evil = f"|{ESCAPES}"
    odd = record(**_FAILED, host=evil, paused=None, history=(
        past(1, host=evil + "2", schedule=f"{evil} UTC"), past(2, every=HOUR)))  # fmt: skip
    paused = record(paused=CronPause(evil, NOW, None, evil), host=evil)
    for seen in (odd, paused, CronProblem(evil, "k", evil)):
        verdict = judge_cron_job(seen, NOW, CronLimits())
        assert verdict.state is not State.OK
        assert r"\x1b[2J" in read(plugin_line(verdict.state, verdict.text))[1]
