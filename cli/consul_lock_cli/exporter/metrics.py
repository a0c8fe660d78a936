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

_OF_CRON = {
    "cron_last_success_timestamp_seconds": Metric(
        "gauge", _JOB, "When a run last ended well, by the clock of its host; none if not known."
    ),
    "cron_next_due_timestamp_seconds": Metric(
        "gauge", _JOB, "When the next run is expected; none for jobs with --slot."
    ),
    "cron_overdue_seconds": Metric(
        "gauge",
        _JOB,
        "Seconds since the next run was due, 0 if it is not; none while the job is paused, and for"
        " jobs with --slot.",
    ),
    "cron_running_since_timestamp_seconds": Metric(
        "gauge", _JOB, "Since when a run is under way, by the clock of its host; else none."
    ),
    "cron_missed_slots": Metric(
        "gauge", _JOB, "Slots that no host has run, as far as the history goes back."
    ),
    "cron_failures": Metric(
        "gauge",
        _JOB,
        "How many slots in a row, up to the last one, failed, were lost or timed out.",
    ),
    "cron_paused_until_timestamp_seconds": Metric(
        "gauge", _JOB, "Until when the job is paused, +Inf without an end; none if it is not."
    ),
    "cron_schedules_differ": Metric(
        "gauge", _JOB, "1 if the hosts of the job count its slots in different ways, else 0."
    ),
    "cron_clock_wrong": Metric(
        "gauge",
        _JOB,
        "1 if the last slot is ahead of this host's clock by more than clocks may differ, else 0:"
        " no host runs the job until its record is reset.",
    ),
    "cron_unreadable": Metric(
        "gauge", _JOB, "1 if what is there is no record, or one of a newer version, else 0."
    ),
}

METRICS = {
    f"consul_lock_{name}": metric
    for name, metric in {**_OF_A_PREFIX, **_OF_LOCKS, **_OF_CRON}.items()
}
"""By name, in the order in which they are served."""
