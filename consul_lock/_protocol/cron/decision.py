"""What the record of a cron job means for one who wants to run a slot of it: a pure predicate."""

from __future__ import annotations

import enum
from typing import NamedTuple

from consul_lock._protocol.cron.record import UNDER_WAY, CronPast, CronRecord, CronState
from consul_lock._protocol.cron.slot import Rhythm, Slot
from consul_lock._protocol.keys import CRON_FLAG
from consul_lock.errors import ClockSkew, Conflict


class CronOutcome(enum.Enum):
    """What came of a claim."""

    RUN = "run"
    """This host has the slot: run the job."""
    TAKEN = "taken"
    """Somebody else has run it, or is running it."""
    PASSED = "passed"
    """A later slot has begun already."""
    PAUSED = "paused"
    OVERLAP = "overlap"
    """An earlier run, or something else that holds the lock, is still under way."""
    LATE = "late"
    """The slot began longer ago than is allowed."""


class CronPlan(NamedTuple):
    """What a guard is asked to do.  Seconds."""

    rhythm: Rhythm
    max_lateness: float | None = None
    splay: float = 0.0
    overlap: str = "skip"
    wait: float | None = None
    retry_crashed: int = 0
    retry_failed: int = 0
    standby: float = 0.0
    max_skew: float | None = None
    history: int = 20


class SlotState(enum.Enum):
    """What to do about it."""

    WON = "the claim of this host has been written"
    CLAIM = "a slot that nobody has claimed"
    RETRY = "an attempt that has failed, or has crashed if nobody holds the run lock"
    WAIT_FOR_RETRY = "an attempt is under way that may fail, and then be retried"
    TAKEN = "it was run, or is being run"
    PASSED = "a later slot was claimed"
    PAUSED = "nothing is to be run"


def decide(
    record: CronRecord | None, slot: Slot, claim: str, plan: CronPlan, now: float
) -> SlotState:
    """What the record means for a host that wants this slot.

    The first line that is true decides:

        record says                                     this host
        ----------------------------------------------  ------------------------------------
        nothing: there is none                          CLAIM
        this very claim (an answer was lost)            WON
        paused                                          PAUSED
        no slot yet                                     CLAIM
        IDs, and this slot is a time, or the reverse    raises `Conflict`
        this slot, an attempt under way or lost         RETRY while crashes are retried; if under
                                                        way WAIT_FOR_RETRY while failures are
        this slot, failed                               RETRY while failures are retried
        this slot, anything else                        TAKEN
        another ID                                      TAKEN if the history knows it, else CLAIM
        an earlier time                                 CLAIM
        a later time, by more than clocks may differ    raises `ClockSkew`
        a later time                                    PASSED

    A lock alone could not decide this: the run may be over on one host before the clock of the
    next one comes to the slot.  A stale read of the record does no harm, as the claim checks the
    record's index: it can only make the claim be refused.  X
    has crashed is not known here: RETRY takes the run lock first, which proves it.
    """
    if record is None:
        return SlotState.CLAIM
    if record.claim == claim:
        return SlotState.WON
    if record.is_paused(now):
        return SlotState.PAUSED
    if not record.slot:
        return SlotState.CLAIM
    if (record.epoch is None) != (slot.epoch is None):
        raise Conflict(
            f"{record.key!r} is at slot {record.slot!r}, and this host wants {slot.label!r}: one"
            " name has IDs or times, not both",
            hint="reset the record if the job has changed",
            kind="slot-form",
            key=record.key,
            flags=CRON_FLAG,
        )
    if record.slot == slot.label:
        return _of_same(record, plan)
    if record.epoch is None or slot.epoch is None:
        known = any(past.slot == slot.label and past.claim for past in record.history)
        return SlotState.TAKEN if known else SlotState.CLAIM
    if record.epoch < slot.epoch:
        return SlotState.CLAIM
    _check_skew(record, record.epoch - slot.epoch, slot, plan)
    return SlotState.PASSED


def _of_same(record: CronRecord, plan: CronPlan) -> SlotState:
    # Without a run lock nobody can know that it is dead.
    crashed = bool(record.session) and record.attempt <= plan.retry_crashed
    failed = record.attempt <= plan.retry_failed
    if record.state in UNDER_WAY:
        return (
            SlotState.RETRY if crashed else SlotState.WAIT_FOR_RETRY if failed else SlotState.TAKEN
        )
    if record.state is CronState.LOST:
        return SlotState.RETRY if crashed else SlotState.TAKEN
    if record.state is CronState.FAILED:
        return SlotState.RETRY if failed else SlotState.TAKEN
    return SlotState.TAKEN


def _check_skew(record: CronRecord, ahead: float, slot: Slot, plan: CronPlan) -> None:
    most = plan.rhythm.skew(slot) if plan.max_skew is None else plan.max_skew
    if ahead > most:
        problem = (
            f"{record.name!r}: the record is at slot {record.slot}, written by {record.host}, and"
            f" this host is at {slot.label}: a clock is wrong by {ahead:g} s or more"
        )
        hint = "put it right, then reset the record"
        raise ClockSkew(
            f"{problem}, and {most:g} s are believed; {hint}",
            problem=problem,
            hint=hint,
            kind="clock-skew",
            key=record.key,
            slot=slot.label,
            found=record.slot,
            host=record.host,
            ahead=ahead,
        )


def story(outcome: CronOutcome, name: str, slot: Slot, record: CronRecord | None) -> str:
    """The outcome in words, for people."""
    what = f"slot {slot.label} of {name!r}"
    by = f" by {record.host}" if record and record.host else ""
    match outcome:
        case CronOutcome.TAKEN:
            return f"{what}: already {_taken(slot, record)}"
        case CronOutcome.PASSED:
            return f"{what}: slot {record.slot if record else '?'} has begun already{by}"
        case CronOutcome.PAUSED:
            return f"{what}: paused{_pause(record)}"
        case CronOutcome.OVERLAP:
            return f"{what}: skipped, as an earlier run, or its lock, is still held{by}"
        case CronOutcome.LATE:
            return f"{what}: skipped, as it began too long ago"
        case _:
            return f"{what}: run by this host"


def _taken(slot: Slot, record: CronRecord | None) -> str:
    """What became of the slot, in the record or its history."""
    runs: tuple[CronRecord | CronPast, ...] = (record, *record.history) if record else ()
    run = next((run for run in runs if run.slot == slot.label), None)
    if run is None or run.state is CronState.IDLE:
        return "over"
    by = f" by {run.host}" if run.host else ""
    code = "" if run.exit is None else f"exit {run.exit}, "
    took = "" if run.runtime is None else f" ({code}{run.runtime:.0f}s)"
    state = "stopped for its time limit" if run.state is CronState.TIMEOUT else run.state.value
    return f"{state}{by}{took}"


def _pause(record: CronRecord | None) -> str:
    pause = record.paused if record else None
    if pause is None:
        return ""
    return f" by {pause.by}" + (f": {pause.reason}" if pause.reason else "")
