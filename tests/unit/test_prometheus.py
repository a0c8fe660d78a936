"""Events become metrics of prometheus-client.

What real locks make of them, also in several processes, is in drivers/test_prometheus_processes.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from consul_lock import events
from consul_lock.errors import LossReason

_BACKUP = {"name": "backup", "kind": "lock"}


class Scrape:
    """Metrics in a registry of their own, and what is in it."""

    def __init__(self, **options: Any) -> None:
        # Here, so that the tests can be collected without the extra.
        from prometheus_client import CollectorRegistry

        from consul_lock.prometheus import Metrics

        self.registry = CollectorRegistry()
        self.metrics = Metrics(registry=self.registry, **options)

    def tell(self, *told: events.Event) -> None:
        for event in told:
            self.metrics(event)

    def value(self, metric: str, /, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"consul_lock_{metric}", labels)

    def all(self, name: str) -> dict[tuple[str, ...], float]:
        """The values of all series of one metric, by their labels."""
        return {
            tuple(sample.labels.values()): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == f"consul_lock_{name}"
        }


@pytest.fixture
def scrape() -> Scrape:
    return Scrape()


def acquired(attempt: int = 1, name: str = "backup", **more: Any) -> events.Acquired:
    return events.Acquired(name=name, kind="lock", attempt=attempt, **more)


def released(attempt: int = 1, name: str = "backup", **more: Any) -> events.Released:
    return events.Released(name=name, kind="lock", attempt=attempt, **more)


def lost(attempt: int = 1, reason: LossReason = LossReason.DEADLINE) -> events.Lost:
    return events.Lost(name="backup", kind="lock", attempt=attempt, reason=reason, held=7.0)


def test_a_hold_is_counted_and_measured_from_its_wait_to_its_end(scrape: Scrape) -> None:
    """It is in the gauge meanwhile, and not afterwards."""
    scrape.tell(acquired(waited=2.0))
    assert scrape.value("held", **_BACKUP) == 1
    scrape.tell(released(held=30.0))
    assert scrape.value("held", **_BACKUP) == 0
    assert scrape.value("acquired_total", **_BACKUP) == 1
    assert scrape.value("released_total", **_BACKUP) == 1
    assert scrape.value("wait_seconds_sum", **_BACKUP) == 2
    assert scrape.value("wait_seconds_bucket", **_BACKUP, le="1.0") == 0
    assert scrape.value("wait_seconds_bucket", **_BACKUP, le="5.0") == 1
    assert scrape.value("hold_seconds_sum", **_BACKUP) == 30
    assert scrape.value("hold_seconds_bucket", **_BACKUP, le="60.0") == 1


def test_a_loss_is_counted_by_its_reason_and_ends_the_hold(scrape: Scrape) -> None:
    """And is no release."""
    scrape.tell(acquired(1), lost(1), acquired(2), lost(2, LossReason.STOLEN))
    assert scrape.all("lost_total") == {
        ("backup", "lock", "deadline"): 1,
        ("backup", "lock", "stolen"): 1,
    }
    assert scrape.value("held", **_BACKUP) == 0
    assert scrape.value("hold_seconds_count", **_BACKUP) == 2
    assert scrape.all("released_total") == {}


def test_an_election_is_counted_like_any_lock(scrape: Scrape) -> None:
    """Its events are those of locks, with names of their own."""
    about: dict[str, Any] = {"name": "scheduler", "kind": "election", "attempt": 5}
    scrape.tell(events.Elected(**about))
    assert scrape.value("held", name="scheduler", kind="election") == 1
    scrape.tell(events.Resigned(**about))
    assert scrape.value("held", name="scheduler", kind="election") == 0


def test_what_goes_wrong_has_counters(scrape: Scrape) -> None:
    """Acquires without a lock by the reason, repeated requests, outages of renewals."""
    scrape.tell(
        events.GaveUp(**_BACKUP, attempt=1, why="timeout"),
        events.GaveUp(**_BACKUP, attempt=2, why="error"),
        events.GaveUp(**_BACKUP, attempt=3, why="timeout"),
        events.Retrying(**_BACKUP, attempt=2),
        events.RenewalFailing(kind="client", locks=2, left=10.0),
        events.RenewalWorks(kind="client", failing=3.0),
    )
    assert scrape.all("gave_up_total") == {
        ("backup", "lock", "timeout"): 2,
        ("backup", "lock", "error"): 1,
    }
    assert scrape.value("retries_total", **_BACKUP) == 1
    assert scrape.value("renewal_outages_total") == 1


def test_cron_slots_are_counted_by_what_became_of_them(scrape: Scrape) -> None:
    """A slot that starts is counted at its end; those that were missed are as many as they are."""
    about: dict[str, Any] = {"name": "sync", "kind": "cron"}
    scrape.tell(
        events.SlotTaken(**about),
        events.SlotSkipped(**about, why="paused"),
        events.SlotStarted(**about),
        events.SlotEnded(**about, state="failed"),
        events.SlotMissed(**about, slots=6),
    )
    assert scrape.all("cron_slots_total") == {
        ("sync", "taken"): 1,
        ("sync", "paused"): 1,
        ("sync", "failed"): 1,
        ("sync", "missed"): 6,
    }


def test_an_end_whose_beginning_was_dropped_does_not_make_the_gauge_negative(
    scrape: Scrape,
) -> None:
    """And one that comes twice does not, either."""
    scrape.tell(released(9), acquired(1), released(1), lost(1))
    assert scrape.value("held", **_BACKUP) == 0


def test_names_beyond_the_limit_are_counted_together() -> None:
    """An application with a lock for each order would fill Prometheus; the first ones stay."""
    scrape = Scrape(names_max=2)
    for number in range(5):
        scrape.tell(acquired(number, name=f"order/{number}"))
    scrape.tell(acquired(9, name="order/0"), released(3, name="order/3"))
    assert scrape.all("acquired_total") == {
        ("order/0", "lock"): 2,
        ("order/1", "lock"): 1,
        ("", "lock"): 3,
    }
    assert scrape.value("held", name="", kind="lock") == 2


def test_an_event_about_all_locks_of_a_client_takes_the_place_of_no_name() -> None:
    """It has none."""
    scrape = Scrape(names_max=1)
    scrape.tell(events.RenewalFailing(kind="client"), acquired())
    assert scrape.value("acquired_total", **_BACKUP) == 1


class Client:
    """What is asked of one."""

    events_dropped = 0


def test_dropped_events_of_each_client_are_counted_once(scrape: Scrape) -> None:
    """At the next event; a client that is gone is forgotten."""
    first, second = Client(), Client()
    scrape.metrics.watch(first)
    scrape.metrics.watch(second)
    first.events_dropped, second.events_dropped = 3, 1
    scrape.tell(acquired(1), acquired(2))
    assert scrape.value("events_dropped_total") == 4
    first.events_dropped = 5
    del second
    gc.collect()
    scrape.tell(acquired(3))
    assert scrape.value("events_dropped_total") == 6


def test_the_bounds_of_the_histograms_can_be_chosen() -> None:
    """Those by default rise."""
    from consul_lock.prometheus import HOLD_BUCKETS, WAIT_BUCKETS

    scrape = Scrape(wait_buckets=(1, 2), hold_buckets=[3])
    scrape.tell(acquired(waited=1.5), released(held=2.0))
    assert scrape.value("wait_seconds_bucket", **_BACKUP, le="2.0") == 1
    assert scrape.value("hold_seconds_bucket", **_BACKUP, le="3.0") == 1
    for bounds in (WAIT_BUCKETS, HOLD_BUCKETS):
        assert list(bounds) == sorted(set(bounds))


def test_the_same_metrics_twice_in_a_registry_are_refused(scrape: Scrape) -> None:
    """Two that count the same events would say twice as much."""
    from consul_lock.prometheus import Metrics

    with pytest.raises(ValueError, match="Duplicated timeseries"):
        Metrics(registry=scrape.registry)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_holds_nothing_and_is_not_blocked(scrape: Scrape) -> None:
    """Whatever the parent held, and though a listener of it was at work when it forked."""
    scrape.tell(acquired(1), acquired(2))
    busy, done = threading.Event(), threading.Event()

    def at_work() -> None:
        with scrape.metrics._mutex:
            busy.set()
            done.wait(60)

    thread = threading.Thread(target=at_work)
    thread.start()
    assert busy.wait(60)
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(60)  # instead of a wait without end, for what its parent's thread has
        scrape.tell(lost(1, LossReason.FORKED), acquired(3))
        os.write(theirs, str(scrape.value("held", **_BACKUP)).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as told:
        assert told.read() == "1.0"
    os.waitpid(pid, 0)
    done.set()
    thread.join()
    assert scrape.value("held", **_BACKUP) == 2


def test_without_the_extra_the_error_says_what_to_install() -> None:
    """As README installs it: from a checkout."""
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "try: import consul_lock.prometheus\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("consul_lock.prometheus needs prometheus-client: ")
    assert "pip install '.[prometheus]'" in done.stdout
