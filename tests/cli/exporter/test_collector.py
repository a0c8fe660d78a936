"""Series of figures, as they are at the moment of the scrape."""

from __future__ import annotations

import re

from consul_lock_cli.exporter.figures import Figures, LockFigures
from consul_lock_cli.exporter.metrics import METRICS
from consul_lock_cli.exporter.prefix_reader import Reading
from tests.cli.exporter.series import series_of

WALL, CLOCK = 1000000.0, 500.0

LOCK = LockFigures("deploy", "lock", 1, 2, 0, WALL - 60, WALL - 5, None)
SEMAPHORE = LockFigures("db", "semaphore", 2, 0, 1, None, None, 3)


def reading(*locks: LockFigures, **more: object) -> Reading:
    figures = Figures(locks, {"lock": len(locks)}, 0, False)._replace(**more)  # type: ignore[arg-type] # its own fields
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
