"""Makes series of the figures, each time that Prometheus asks: ages are those of that moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from math import inf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from consul_lock import CronProblem, CronRecord, cron_health
from consul_lock_cli.base.clock import now
from consul_lock_cli.exporter.figures import Figures, LockFigures
from consul_lock_cli.exporter.metrics import METRICS
from consul_lock_cli.exporter.prefix_reader import Reading

Family = CounterMetricFamily | GaugeMetricFamily
Sample = tuple[str, tuple[str, ...], float]
"""The name of a metric without what all begin with, the values of its labels, and its own."""

_BEGIN = "consul_lock_"


class Collector:
    """What prometheus-client asks at each scrape."""

    def __init__(
        self,
        readings: Callable[[], Mapping[str, Reading]],
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = now,
    ) -> None:
        self._readings = readings
        """By prefix; no prefix begins with another one, so no name is in two."""
        self._wall = wall
        self._clock = clock

    def describe(self) -> Sequence[Family]:
        """The metrics without values, by which a scrape may choose."""
        return list(_families().values())

    def collect(self) -> Iterator[Family]:
        """All metrics with their values of now."""
        families = _families()
        for name, labels, value in self._samples():
            families[f"{_BEGIN}{name}"].add_metric(labels, value)
        yield from families.values()

    def _samples(self) -> Iterator[Sample]:
        readings = self._readings()
        for prefix, reading in readings.items():
            yield from _of_reading(prefix, reading, self._clock())
        found = [reading.figures for reading in readings.values() if reading.figures is not None]
        yield from _of_kinds(found)
        wall = self._wall()
        for lock in chain.from_iterable(each.locks for each in found):
            yield from _of_lock(lock, wall)
        for name, record in chain.from_iterable(each.crons.items() for each in found):
            yield from _of_cron(name, record, wall)


def _families() -> dict[str, Family]:
    """All metrics, without values."""
    made: dict[str, Family] = {}
    for name, metric in METRICS.items():
        family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        made[name] = family(name, metric.text, labels=metric.labels)
    return made


def _of_reading(prefix: str, reading: Reading, clock: float) -> Iterator[Sample]:
    label = (prefix,)
    yield "up", label, reading.up
    yield "reads_total", label, reading.reads
    yield "read_errors_total", label, reading.errors
    if reading.figures is not None:
        yield "last_read_age_seconds", label, max(0.0, clock - reading.read_at)
        yield "results_filtered", label, reading.figures.filtered
        yield "names_left_out", label, reading.figures.left_out


def _of_kinds(found: Sequence[Figures]) -> Iterator[Sample]:
    for kind in sorted({kind for each in found for kind in each.kinds}):
        yield "names", (kind,), sum(each.kinds.get(kind, 0) for each in found)


def _of_lock(lock: LockFigures, wall: float) -> Iterator[Sample]:
    label = (lock.name, lock.kind)
    yield "holders", label, lock.holders
    yield "waiters", label, lock.waiters
    yield "dead_holders", label, lock.dead
    if lock.held_since is not None:
        # A clock that is ahead of this one must not make an age negative.
        yield "oldest_hold_seconds", label, max(0.0, wall - lock.held_since)
    if lock.waited_since is not None:
        yield "oldest_wait_seconds", label, max(0.0, wall - lock.waited_since)
    if lock.kind == "semaphore":
        yield "semaphore_slots_used", (lock.name,), lock.holders + lock.dead
    if lock.limit is not None:
        yield "semaphore_slots_limit", (lock.name,), lock.limit


def _of_cron(name: str, record: CronRecord | CronProblem, wall: float) -> Iterator[Sample]:
    label = (name,)
    yield "cron_unreadable", label, isinstance(record, CronProblem)
    if isinstance(record, CronProblem):
        return
    health = cron_health(record, wall)
    yield "cron_failures", label, health.failures
    yield "cron_missed_slots", label, health.missed
    yield "cron_schedules_differ", label, bool(health.disagreeing)
    yield "cron_clock_wrong", label, health.clock_wrong
    until = None
    if health.paused is not None:
        until = inf if health.paused.until is None else health.paused.until
    for what, value in (
        ("last_success_timestamp_seconds", health.last_success),
        ("next_due_timestamp_seconds", health.due),
        ("overdue_seconds", health.overdue),
        ("running_since_timestamp_seconds", health.running_since),
        ("paused_until_timestamp_seconds", until),
    ):
        if value is not None:
            yield f"cron_{what}", label, value
