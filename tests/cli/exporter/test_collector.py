"""Series of figures, as they are at the moment of the scrape."""

from __future__ import annotations

import re
from typing import Any

from consul_lock import CronPause, CronProblem, CronState
from consul_lock_cli.exporter.figures import Figures, LockFigures
from consul_lock_cli.exporter.metrics import METRICS
from consul_lock_cli.exporter.prefix_reader import Reading
from tests.cli.exporter.series import series_of
from tests.cli.output.examples import HOUR, NOW, SLOT, past, record

WALL, CLOCK = 1000000.0, 500.0

LOCK = LockFigures("deploy", "lock", 1, 2, 0, WALL - 60, WALL - 5, None)
SEMAPHORE = LockFigures("db", "semaphore", 2, 0, 1, None, None, 3)


def reading(*locks: LockFigures, **more: Any) -> Reading:
    figures = Figures(locks, {}, {"lock": len(locks)}, 0, False)._replace(**more)
    return Reading(True, figures, CLOCK - 3, 7, 1)


def served(readings: dict[str, Reading], later: float = 0.0) -> str:
    from consul_lock_cli.exporter.collector import Collector
    from consul_lock_cli.exporter.server import text

    return text(Collector(lambda: readings, lambda: WALL + later, lambda: CLOCK + later))


def test_ages_are_those_of_the_scrape_and_not_of_the_read() -> None:
    """So they grow while Consul says nothing."""
    readings = {"": reading(LOCK)}
    for later in (0, 3600):
        found = series_of(served(readings, later))
        assert found['consul_lock_oldest_hold_seconds{kind="lock",name="deploy"}'] == 60 + later
        assert found['consul_lock_oldest_wait_seconds{kind="lock",name="deploy"}'] == 5 + later
        assert found['consul_lock_last_read_age_seconds{name=""}'] == 3 + later


def test_a_clock_that_is_ahead_makes_no_negative_age() -> None:
    """The holder's host may be a second ahead of this one."""
    found = series_of(served({"": reading(LOCK._replace(held_since=WALL + 1))}))
    assert found['consul_lock_oldest_hold_seconds{kind="lock",name="deploy"}'] == 0


def test_a_lock_and_a_semaphore_have_what_belongs_to_them() -> None:
    """The dead take slots; what is not known is left out, not 0."""
    found = series_of(served({"": reading(LOCK, SEMAPHORE)}))
    of_one = {name: value for name, value in found.items() if 'name="db"' in name}
    assert of_one == {
        'consul_lock_holders{kind="semaphore",name="db"}': 2,
        'consul_lock_waiters{kind="semaphore",name="db"}': 0,
        'consul_lock_dead_holders{kind="semaphore",name="db"}': 1,
        'consul_lock_semaphore_slots_used{name="db"}': 3,
        'consul_lock_semaphore_slots_limit{name="db"}': 3,
    }
    assert 'consul_lock_waiters{kind="lock",name="deploy"}' in found


def test_each_prefix_says_how_it_is_and_kinds_are_of_all_together() -> None:
    """One that was never read has no figures, and is not up."""
    filtered = reading(SEMAPHORE, filtered=True, left_out=4, kinds={"lock": 1, "foreign": 2})
    found = series_of(served({"a": reading(LOCK), "b": filtered, "c": Reading(errors=2)}))
    assert {n: v for n, v in found.items() if n.startswith("consul_lock_up")} == {
        'consul_lock_up{name="a"}': 1,
        'consul_lock_up{name="b"}': 1,
        'consul_lock_up{name="c"}': 0,
    }
    assert found['consul_lock_read_errors_total{name="c"}'] == 2
    assert 'consul_lock_last_read_age_seconds{name="c"}' not in found
    assert found['consul_lock_results_filtered{name="b"}'] == 1
    assert found['consul_lock_results_filtered{name="a"}'] == 0
    assert found['consul_lock_names_left_out{name="b"}'] == 4
    assert found['consul_lock_names{kind="lock"}'] == 2
    assert found['consul_lock_names{kind="foreign"}'] == 2


def test_all_metrics_of_the_table_are_served_with_their_meaning() -> None:
    """Also those without a series now: a scrape shows what there can be."""
    shown = dict(re.findall(r"(?m)^# HELP (\S+) (.*)$", served({})))
    assert shown == {name: metric.text for name, metric in METRICS.items()}
    kinds = dict(re.findall(r"(?m)^# TYPE (\S+) (.*)$", served({})))
    assert kinds == {name: metric.kind for name, metric in METRICS.items()}


def test_the_labels_are_few() -> None:
    """Each value of a label is a series; and ``job`` would clash with Prometheus' own."""
    assert {label for metric in METRICS.values() for label in metric.labels} == {"name", "kind"}


def test_a_name_with_quotes_is_one_label() -> None:
    """The format escapes what it needs for itself."""
    text = served({"": reading(LOCK._replace(name='a"b\\c'))})
    assert 'consul_lock_holders{kind="lock",name="a\\"b\\\\c"} 1.0' in text


def of_job(job: Any, later: float = 0.0) -> dict[str, float]:
    """The series of one cron job at `NOW`, by the ends of their names."""
    found = series_of(served({"": reading(crons={"backup": job})}, NOW - WALL + later))
    cron = {name: value for name, value in found.items() if "_cron_" in name}
    ends = {name: name.removeprefix("consul_lock_cron_").partition("{") for name in cron}
    assert {rest for _, _, rest in ends.values()} == {'name="backup"}'}
    return {end: cron[name] for name, (end, _, _) in ends.items()}


def test_a_cron_job_that_is_well_says_when_it_was_and_will_be_run() -> None:
    """In times, from which Prometheus computes ages."""
    found = of_job(record())
    assert found.pop("next_due_timestamp_seconds") >= SLOT + HOUR
    assert found == {
        "unreadable": 0,
        "failures": 0,
        "missed_slots": 0,
        "schedules_differ": 0,
        "clock_wrong": 0,
        "overdue_seconds": 0,
        "last_success_timestamp_seconds": SLOT + 14,
    }


def test_it_is_overdue_at_the_moment_of_the_scrape() -> None:
    """Nothing of it changes in Consul when that happens."""
    due = of_job(record())["next_due_timestamp_seconds"]
    late = due - NOW + 700
    found = of_job(record(), late)
    assert (found["overdue_seconds"], found["missed_slots"]) == (700, 0)
    assert of_job(record(), late + HOUR)["missed_slots"] == 1


def test_failures_in_a_row_a_run_and_hosts_that_disagree() -> None:
    """A run that is under way is not the end of the row."""
    history = (past(1, CronState.FAILED), past(2, CronState.TIMEOUT), past(3))
    running = record(state=CronState.RUNNING, finished_at=None, exit=None, history=history)
    found = of_job(running)
    assert found["failures"] == 2
    assert found["running_since_timestamp_seconds"] == SLOT + 2
    others = (past(1, every=600.0, host="a"), past(2, every=HOUR, host="b"))
    assert of_job(record(history=others))["schedules_differ"] == 1


def test_a_pause_has_its_end_and_nothing_is_due_meanwhile() -> None:
    """Without an end it is infinite."""
    for until, shown in ((None, float("inf")), (NOW + 60, NOW + 60)):
        found = of_job(record(paused=CronPause("ann", NOW - 5, until, "")))
        assert found["paused_until_timestamp_seconds"] == shown
        assert "overdue_seconds" not in found
    over = of_job(record(paused=CronPause("ann", NOW - 5, NOW - 1, "")))
    assert "paused_until_timestamp_seconds" not in over


def test_what_is_no_record_is_said_and_no_more() -> None:
    """`cron run` refuses it."""
    assert of_job(CronProblem("backup", "backup/.cron", "no record")) == {"unreadable": 1}


def test_a_slot_that_is_far_ahead_shows_a_wrong_clock() -> None:
    """By the same judgement as that of `cron check`."""
    assert of_job(record(), -2 * HOUR)["clock_wrong"] == 1
