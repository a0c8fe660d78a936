"""Whether a cron job does what it should, for a monitoring plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from consul_lock.limits import OVERDUE_GRACE
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.text import shown
from consul_lock_cli.check.plugin_line import Metric
from consul_lock_cli.check.state import Problem, State, Verdict, worst_first
from consul_lock_cli.output import cron_text

if TYPE_CHECKING:
    from consul_lock import CronHealth, CronProblem, CronRecord

# Characters of who paused it and why, and of why a record cannot be read.
_REASON_MAX = 100

_BAD = {"lost": "lost", "timeout": "stopped for its time limit"}


class CronLimits(NamedTuple):
    """What is allowed.  Seconds."""

    grace: float = OVERDUE_GRACE
    max_failures: int = 1
    max_runtime: float | None = None


def judge_cron_job(record: CronRecord | CronProblem, now: float, limits: CronLimits) -> Verdict:
    """What is wrong with one job."""
    from consul_lock import CronProblem, cron_health

    name = shown(record.name, 512)
    if isinstance(record, CronProblem):
        why = f"unreadable: {shown(record.why, _REASON_MAX)}"
        return Verdict(name, (Problem(State.UNKNOWN, why),), "")
    health = cron_health(record, now)
    problems = worst_first(_problems(record, health, now, limits))
    return Verdict(name, problems, _note(record, health, now))


def _problems(
    record: CronRecord, health: CronHealth, now: float, limits: CronLimits
) -> Iterator[Problem]:
    """All of them; of a paused job only what goes on all the same: an operator knows the rest."""
    if health.running_since is not None and limits.max_runtime is not None:
        runs = now - health.running_since
        if runs > limits.max_runtime:
            most = show_duration(limits.max_runtime)
            text = f"has been running for {show_duration(runs)} (more than {most})"
            yield Problem(State.CRITICAL, text)
    if health.paused is not None:
        if health.paused.until is None:
            yield Problem(State.WARNING, f"paused without an end {_pause(health, now)}")
        return
    if health.overdue is not None and health.overdue > limits.grace:
        text = f"overdue by {show_duration(health.overdue)}"
        if health.next_slot is not None:
            text += f": slot {cron_text.slot('', health.next_slot, now)} was not run"
        yield Problem(State.CRITICAL, text)
    if health.clock_wrong:
        yield Problem(
            State.CRITICAL,
            f"its last slot is {show_duration(health.ahead)} ahead: a clock was wrong, and no host"
            " runs it until it is reset",
        )
    yield from _outcome(record, health, limits)
    if health.disagreeing:
        yield Problem(
            State.WARNING, f"hosts disagree: {cron_text.disagreement(health.disagreeing)}"
        )


def _outcome(record: CronRecord, health: CronHealth, limits: CronLimits) -> Iterator[Problem]:
    outcome = "" if health.outcome is None else health.outcome.value
    if outcome in _BAD:
        row = f", {health.failures} failures in a row" if health.failures > 1 else ""
        yield Problem(State.CRITICAL, f"{_BAD[outcome]}{_where(record, outcome)}{row}")
    elif outcome == "failed":
        enough = health.failures >= limits.max_failures
        row = f", {health.failures} in a row" if health.failures > 1 else ""
        most = f" (critical from {limits.max_failures} on)" if not enough else ""
        yield Problem(
            State.CRITICAL if enough else State.WARNING,
            f"failed{_where(record, outcome)}{row}{most}",
        )


def _where(record: CronRecord, outcome: str) -> str:
    """With which exit code, and on which host, if that was the last run of all."""
    if record.shown.value != outcome:
        return ""
    code = f" with exit {record.exit}" if record.exit is not None else ""
    return f"{code} on {shown(record.host, 40)}" if record.host else code


def _pause(health: CronHealth, now: float) -> str:
    return "" if health.paused is None else cron_text.pause(health.paused, now, _REASON_MAX)


def _note(record: CronRecord, health: CronHealth, now: float) -> str:
    if health.paused is not None:
        return f"paused {_pause(health, now)}"
    word = record.shown.value
    parts = [f"{word} {cron_text.result(record, now)}" if record.attempt else "no run yet"]
    if health.next_slot is not None:
        parts.append(f"next slot {cron_text.slot('', health.next_slot, now)}")
    return ", ".join(parts)


def cron_metrics(
    records: list[CronRecord], verdicts: list[Verdict], now: float, limits: CronLimits
) -> list[Metric]:
    """Of one job its numbers; of several how many are in which state, and the worst numbers."""
    from consul_lock import cron_health

    found = [cron_health(record, now) for record in records]
    late = [health.overdue for health in found if health.overdue is not None]
    running = [
        max(0.0, now - each.running_since) for each in found if each.running_since is not None
    ]
    most = limits.max_failures - 1
    metrics = [
        Metric("overdue", max(late, default=None), "s", critical=limits.grace),
        Metric("running", max(running, default=0.0), "s", critical=limits.max_runtime),
        Metric("failures", max((h.failures for h in found), default=0), warning=0, critical=most),
        Metric("missed", sum(health.missed for health in found)),
    ]
    if len(verdicts) == 1:
        well = found[0].last_success if found else None
        return [
            *metrics,
            Metric("since_success", None if well is None else max(0.0, now - well), "s"),
        ]
    states = [verdict.state for verdict in verdicts]
    return [
        Metric("jobs", len(verdicts)),
        Metric("critical", states.count(State.CRITICAL), critical=0),
        Metric("warning", states.count(State.WARNING), warning=0),
        Metric("unknown", states.count(State.UNKNOWN)),
        *metrics,
    ]
