"""Which metrics the exporter serves, and what each means: the table that everything else follows.

Labels are few on purpose: each combination of their values is a series that Prometheus keeps.  The
name of a cron job is in ``name`` as well, since a label ``job`` is Prometheus' own.
"""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """One metric."""

    kind: str
    """"gauge" or "counter"."""
    labels: tuple[str, ...]
    text: str
    """What it means, as its HELP."""


_PREFIX, _KIND, _LOCK, _JOB = ("name",), ("kind",), ("name", "kind"), ("name",)

# Their label ``name`` is the PREFIX that was asked for; empty, which is no label to Prometheus, for
# all names.
_OF_A_PREFIX = {
    "up": Metric(
        "gauge",
        _PREFIX,
        "1 if Consul could be read last, 0 if not, for --retry-for: all else is older then.",
    ),
    "last_read_age_seconds": Metric(
        "gauge", _PREFIX, "Seconds since the last read that succeeded; none before the first."
    ),
    "reads_total": Metric("counter", _PREFIX, "Reads of Consul that succeeded."),
    "read_errors_total": Metric(
        "counter", _PREFIX, "Reads of Consul that failed, with all tries within --retry-for."
    ),
    "results_filtered": Metric(
        "gauge",
        _PREFIX,
        "1 if Consul says that it left out keys which the token may not read; Consul says so from"
        " 1.11 on, before that it is always 0.",
    ),
    "names_left_out": Metric(
        "gauge", _PREFIX, "Locks and cron jobs without series of their own, beyond the first 1000."
    ),
}

_OF_LOCKS = {
    "names": Metric(
        "gauge",
        _KIND,
        "Names in Consul by kind: lock, election, semaphore, read-write, cron, or foreign for what"
        " is none of these.  A lock that is free has no key, and does not count.",
    ),
    "holders": Metric("gauge", _LOCK, "Holders that are alive."),
    "waiters": Metric("gauge", _LOCK, "Waiters in the queue; candidates of an election."),
    "dead_holders": Metric(
        "gauge", _LOCK, "Holders that died while they held it, until another client gets it."
    ),
    "oldest_hold_seconds": Metric(
        "gauge",
        _LOCK,
        "Age of the oldest hold, from the time that its holder wrote, by the clock of its host.",
    ),
    "oldest_wait_seconds": Metric(
        "gauge",
        _LOCK,
        "Age of the oldest waiter, from the time that it wrote, by the clock of its host.",
    ),
    "semaphore_slots_used": Metric("gauge", ("name",), "Slots taken, also by the dead."),
    "semaphore_slots_limit": Metric("gauge", ("name",), "Slots that there are."),
}

METRICS = {f"consul_lock_{name}": metric for name, metric in {**_OF_A_PREFIX, **_OF_LOCKS}.items()}
"""By name, in the order in which they are served."""
