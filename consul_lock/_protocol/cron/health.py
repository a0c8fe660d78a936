"""Whether a cron job does what its record says that it should: the one judgement of it.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from math import ceil, isfinite
from typing import NamedTuple

from consul_lock._protocol.cron.record import UNDER_WAY, CronPast, CronPause, CronRecord, CronState
from consul_lock._protocol.cron.slot import YEAR_9999
from consul_lock._protocol.cron.timeline import CronGap, cron_timeline
from consul_lock.limits import SKEW_MIN

# First attempts, the latest ones, that show how long after the beginning of a slot a job is fired.
_FIRINGS = 3

_BAD = (CronState.FAILED, CronState.LOST, CronState.TIMEOUT)


class CronHealth(NamedTuple):
    """What the record of a cron job says of its health at one moment.

    Times are seconds since the epoch.  None of it is Consul's or this host's knowledge: it is what
    the hosts of the job have written, by their own clocks.
    """

    next_slot: float | None
    """When the next slot begins that is expected to be run: it may have begun.  None: slots are
    IDs, the job is paused without an end, or the record does not say it."""
    due: float | None
    """When a host is expected to claim it.  With a cron expression that is its beginning.  With an
    interval, a job is fired at any time within its slot; it is expected as long after the beginning
    as the last runs have come."""
    overdue: float | None
    """For how many seconds it has been due; 0.0: it is not, or a run is under way.  None: no slot
    is expected, as there is no `next_slot` or the job is paused."""
    missed: int
    """How many slots nobody has run, as far back as the history goes: see `cron_timeline`."""
    failures: int
    """How many slots in a row, up to the last one that has ended, were failed, lost or stopped for
    their time limit, whatever number of attempts each had.  A successful extra run ends the row, a
    failed one is not counted, and one that was reset is forgotten."""
    outcome: CronState | None
    """How the last slot that has ended went; `CronState.DONE` after a successful extra run.  None:
    none has ended."""
    last_success: float | None
    """When a run last ended well, extra runs included; None: that is not known."""
    running_since: float | None
    """Since when a run is under way whose process is not dead; None: there is none."""
    paused: CronPause | None
    """The pause, if there is one at this moment."""
    disagreeing: tuple[CronPast, ...]
    """The hosts of the job count its slots in different ways: the last run of each of those, the
    latest first.  Empty: they agree, as far as is known."""
    ahead: float
    """By how many seconds the last slot is ahead of this moment; 0.0: it is not."""
    clock_wrong: bool = False
    """Whether that is more than clocks may differ: one was wrong, and no host claims a slot until
    the record is reset."""


def cron_health(record: CronRecord, now: float) -> CronHealth:
    """Judge a record, as of a time in seconds since the epoch.  Nothing in it makes this raise."""
    past = record.past(dead=record.crashed)
    next_slot = _next_slot(record, now)
    due = None if next_slot is None else next_slot + _lateness(record, past)
    paused = record.paused if record.is_paused(now) else None
    outcome, failures = _row(past)
    running_since = _running_since(record)
    overdue = None if due is None or paused is not None else max(0.0, now - due)
    ahead = max(0.0, (record.epoch or 0.0) - now)
    if overdue and running_since is not None and record.session:
        overdue = 0.0  # the next slot waits for this run
    return CronHealth(
        next_slot=next_slot,
        due=due,
        overdue=overdue,
        missed=sum(
            line.slots
            for line in cron_timeline(record, now)
            if isinstance(line, CronGap) and line.why == "missed"
        ),
        failures=failures,
        outcome=outcome,
        last_success=last_success(record),
        running_since=running_since,
        paused=paused,
        disagreeing=disagreeing(past),
        ahead=ahead,
        clock_wrong=ahead > max(SKEW_MIN, record.interval or _length(record)),
    )


def _length(record: CronRecord) -> float:
    """Of the last slot of a cron expression, in seconds; 0.0: that is not known."""
    if record.epoch is None or record.next_slot is None:
        return 0.0
    return record.next_slot - record.epoch


# -- when it is due ------------------------------------------------------------------------------


def _next_slot(record: CronRecord, now: float) -> float | None:
    """The first slot after the last that hosts came to, and after the last pause.

    A host that skips a slot on purpose notes it, so neither a pause nor an overlap makes a job
    overdue.  What lies within a pause is not expected:

        slot ... next ........ next         the next one of an interval is counted on
              |  pause  |
              ^         ^ until             of an expression nothing is known: as long after the end
                                            of the pause as the slot was long
    """
    if record.epoch is None and record.slot:
        return None
    every = record.interval
    epoch, following = record.epoch, _time(record.next_slot)
    if following is None and epoch is not None and every is not None:
        following = epoch + every
    for skip in record.skipped:
        if skip.epoch is not None and skip.epoch > (epoch or 0.0):
            epoch = skip.epoch
            counted = None if every is None else epoch + every
            following = _time(skip.next_slot) or counted or following
    since = _pause_end(record, now)
    if following is None or since is None:
        return following
    if since == float("inf"):
        return None
    if following >= since:
        return following
    if every is not None:
        return _time(following + ceil((since - following) / every) * every)
    return None if epoch is None or epoch >= following else _time(since + following - epoch)


def _pause_end(record: CronRecord, now: float) -> float | None:
    """When the last pause is over, or was; None: none is known; infinite: when it is resumed."""
    pause, change = record.paused, record.changed
    if pause is not None:
        return float("inf") if pause.until is None else pause.until
    return min(change.at, now) if change is not None and change.what == "resumed" else None


def _lateness(record: CronRecord, past: Iterable[CronPast]) -> float:
    """How long after the beginning of its slot the job is fired."""
    every, found = record.interval, list[float]()
    if every is None:
        return 0.0
    for run in past:
        same = run.every in (None, record.every) and not run.schedule
        if run.epoch is not None and run.attempt == 1 and same:
            found.append(run.claimed_at - run.epoch)
        if len(found) == _FIRINGS:
            break
    # A clock that was wrong says nothing of the time at which it fires.
    return max((late for late in found if 0 < late < every), default=0.0)


def _time(epoch: float | None) -> float | None:
    """A time, if it is one that a calendar has."""
    return epoch if epoch is not None and 0 <= epoch < YEAR_9999 else None


# -- how it went ---------------------------------------------------------------------------------


def _row(past: tuple[CronPast, ...]) -> tuple[CronState | None, int]:
    """The outcome of the last slot that has ended, and how many in a row went wrong."""
    extras = [run.claimed_at for run in past if run.extra and run.state is CronState.DONE]
    mended = max(extras, default=float("-inf"))
    outcome: CronState | None = None
    failures = 0
    for run in _ended(past):
        if mended > run.claimed_at or not run.claim:
            break
        outcome = outcome or run.state
        if run.state not in _BAD:
            return outcome, failures
        failures += 1
    return outcome or (CronState.DONE if extras else None), failures


def _ended(past: Iterable[CronPast]) -> Iterator[CronPast]:
    """The last attempt of each slot that has ended, the latest first."""
    for _, attempts in groupby((run for run in past if not run.extra), key=lambda run: run.slot):
        last = next(attempts)
        if last.state not in (*UNDER_WAY, CronState.IDLE):
            yield last


def last_success(record: CronRecord) -> float | None:
    """When a run last ended well; None: that is not known."""
    if record.last_success is not None:
        return record.last_success
    if record.state is CronState.DONE and record.finished_at is not None:
        return record.finished_at
    ends = (run.finished_at for run in record.history if run.state is CronState.DONE)
    return max((end for end in ends if end is not None), default=None)


def _running_since(record: CronRecord) -> float | None:
    if record.shown not in UNDER_WAY:
        return None
    since = record.claimed_at if record.started_at is None else record.started_at
    return since if since is not None and isfinite(since) else None


# -- whether the hosts agree ---------------------------------------------------------------------


def disagreeing(past: Iterable[CronPast]) -> tuple[CronPast, ...]:
    """The last run of each host, if their schedules differ at the same time; the latest first.

    That runs differ does not show it: a crontab that is changed on all hosts looks like that, too,
    and the host that always comes second is not heard of again.  The schedule of the last run must
    be older than a run by another one:

        host A   10m        10m             A and B disagree: both are in use
        host B        15m

        host A             15m  15m         it was changed; nothing shows what B has now
        host B   10m  10m
    """
    runs = [run for run in past if not run.extra and run.claim and run.host and _schedule(run)]
    if not runs:
        return ()
    latest: dict[str, int] = {}
    for at, run in enumerate(runs):
        latest.setdefault(run.host, at)
    if not runs:
        return ()
    now = _schedule(runs[0])
    oldest = max(at for at, run in enumerate(runs) if _schedule(run) == now)
    others = [at for at in latest.values() if _schedule(runs[at]) != now and at < oldest]
    return (runs[0], *(runs[at] for at in others)) if others else ()


def _schedule(run: CronPast) -> tuple[float, float, str] | None:
    """How its host counts slots; None: that is not known."""
    if run.schedule:
        return (0.0, 0.0, run.schedule)
    return None if run.every is None else (run.every, run.offset, "")
