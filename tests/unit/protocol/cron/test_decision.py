"""What the record of a cron job means for a host that wants a slot: the table, line by line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consul_lock._protocol.cron.decision import CronOutcome, CronPlan, SlotState, decide, story
from consul_lock._protocol.cron.record import CronPast, CronPause, CronRecord, CronState
from consul_lock._protocol.cron.slot import Every, Once, Slot, slot_at, slot_of_id
from consul_lock.errors import ClockSkew, Conflict

HOUR = 3600.0
ONE, TWO, THREE = (slot_at(hour * HOUR) for hour in (1, 2, 3))
PLAN = CronPlan(Every(HOUR, 0, None))


def record(slot: Slot = TWO, state: CronState = CronState.DONE, **more: Any) -> CronRecord:
    """What another host has written."""
    asked = {"claim": "other", "attempt": 1, "session": "s", "host": "web3", **more}
    return CronRecord("job", slot.label, slot.epoch, state=state, **asked)


@pytest.mark.parametrize(
    "found, slot, state",
    [
        (None, TWO, SlotState.CLAIM),
        (record(claim="mine"), TWO, SlotState.WON),
        (record(claim="mine", paused=CronPause("x", 0.0, None, "")), TWO, SlotState.WON),
        (record(ONE, paused=CronPause("x", 0.0, None, "")), TWO, SlotState.PAUSED),
        (record(ONE, paused=CronPause("x", 0.0, 99.0, "")), TWO, SlotState.PAUSED),
        (record(ONE, paused=CronPause("x", 0.0, 98.0, "")), TWO, SlotState.CLAIM),
        (CronRecord("job"), TWO, SlotState.CLAIM),
        (record(ONE), TWO, SlotState.CLAIM),
        (record(ONE, CronState.RUNNING), TWO, SlotState.CLAIM),
        (record(TWO), TWO, SlotState.TAKEN),
        (record(THREE), TWO, SlotState.PASSED),
        (record(slot_of_id("a")), slot_of_id("a"), SlotState.TAKEN),
        (record(slot_of_id("a")), slot_of_id("b"), SlotState.CLAIM),
    ],
)
def test_what_a_record_means(found: CronRecord | None, slot: Slot, state: SlotState) -> None:
    """At second 98, by the clock of the host."""
    assert decide(found, slot, "mine", PLAN, 98.0) is state


RETRIES = {"crashed": {"retry_crashed": 1}, "failed": {"retry_failed": 1}, "none": {}}


@pytest.mark.parametrize(
    "state, crashed, failed",
    [
        (CronState.CLAIMED, SlotState.RETRY, SlotState.WAIT_FOR_RETRY),
        (CronState.RUNNING, SlotState.RETRY, SlotState.WAIT_FOR_RETRY),
        (CronState.LOST, SlotState.RETRY, SlotState.TAKEN),
        (CronState.FAILED, SlotState.TAKEN, SlotState.RETRY),
        (CronState.DONE, SlotState.TAKEN, SlotState.TAKEN),
        (CronState.TIMEOUT, SlotState.TAKEN, SlotState.TAKEN),
        (CronState.IDLE, SlotState.TAKEN, SlotState.TAKEN),
    ],
)
def test_which_attempts_are_retried(
    state: CronState, crashed: SlotState, failed: SlotState
) -> None:
    """As often as was asked for; a crash only if there is a run lock that can prove it."""
    found = record(TWO, state)
    plans = {name: PLAN._replace(**more) for name, more in RETRIES.items()}
    assert decide(found, TWO, "mine", plans["none"], 0.0) is SlotState.TAKEN
    assert decide(found, TWO, "mine", plans["crashed"], 0.0) is crashed
    assert decide(found, TWO, "mine", plans["failed"], 0.0) is failed
    for plan in plans.values():
        assert decide(replace(found, attempt=2), TWO, "mine", plan, 0.0) is SlotState.TAKEN
    unproved = decide(replace(found, session=""), TWO, "mine", plans["crashed"], 0.0)
    assert unproved is SlotState.TAKEN


@pytest.mark.parametrize("claim, state", [("old", SlotState.TAKEN), ("", SlotState.CLAIM)])
def test_an_id_that_was_run_before_others_is_known_from_the_history(
    claim: str, state: SlotState
) -> None:
    """Unless it was reset since, which leaves no claim there."""
    past = CronPast("a", None, 1, CronState.DONE, "h", claim, 0.0, None, None)
    found = record(slot_of_id("b"), history=(past,))
    assert decide(found, slot_of_id("a"), "mine", CronPlan(Once("a")), 0.0) is state


@pytest.mark.parametrize("found, slot", [(TWO, slot_of_id("a")), (slot_of_id("a"), TWO)])
def test_ids_and_times_under_one_name_are_a_conflict(found: Slot, slot: Slot) -> None:
    """They have no order, so nobody could say which is later."""
    with pytest.raises(Conflict, match="one name has IDs or times"):
        decide(record(found), slot, "mine", PLAN, 0.0)


@pytest.mark.parametrize(
    "max_skew, ahead, wrong",
    [(None, 1, False), (None, 2, True), (1800.0, 1, True), (7200.0, 2, False)],
)
def test_a_record_further_ahead_than_clocks_may_differ_is_an_error(
    max_skew: float | None, ahead: int, wrong: bool
) -> None:
    """Up to one slot if nothing else was asked for; the error says by how much, and whose it is."""
    found, plan = record(slot_at((1 + ahead) * HOUR)), PLAN._replace(max_skew=max_skew)
    if not wrong:
        assert decide(found, ONE, "mine", plan, 0.0) is SlotState.PASSED
        return
    with pytest.raises(ClockSkew) as caught:
        decide(found, ONE, "mine", plan, 0.0)
    assert (caught.value.ahead, caught.value.host) == (ahead * HOUR, "web3")
    assert (caught.value.slot, caught.value.found) == (ONE.label, found.slot)


PAST = CronPast(ONE.label, ONE.epoch, 1, CronState.FAILED, "db1", "c", 0.0, 62.4, 3)


@pytest.mark.parametrize(
    "outcome, slot, found, said",
    [
        (CronOutcome.RUN, TWO, None, "run by this host"),
        (CronOutcome.LATE, TWO, None, "skipped, as it began too long ago"),
        (CronOutcome.PASSED, ONE, record(), f"slot {TWO.label} has begun already by web3"),
        (CronOutcome.PASSED, ONE, None, "slot ? has begun already"),
        (CronOutcome.OVERLAP, TWO, record(), "is still held by web3"),
        (
            CronOutcome.PAUSED,
            TWO,
            record(paused=CronPause("me", 0.0, None, "x")),
            "paused by me: x",
        ),
        (CronOutcome.PAUSED, TWO, record(paused=CronPause("me", 0.0, None, "")), "paused by me"),
        (CronOutcome.PAUSED, TWO, None, "paused"),
        (CronOutcome.TAKEN, TWO, record(runtime=7.0), "already done by web3 (7s)"),
        (CronOutcome.TAKEN, ONE, record(history=(PAST,)), "already failed by db1 (exit 3, 62s)"),
        (CronOutcome.TAKEN, TWO, record(state=CronState.TIMEOUT), "stopped for its time limit by"),
        (CronOutcome.TAKEN, TWO, record(state=CronState.IDLE), "already over"),
        (CronOutcome.TAKEN, THREE, record(), "already over"),
        (CronOutcome.TAKEN, TWO, None, "already over"),
    ],
)
def test_the_outcome_in_words(
    outcome: CronOutcome, slot: Slot, found: CronRecord | None, said: str
) -> None:
    """With the slot, the job, and who ran it, as far as that is known."""
    told = story(outcome, "job", slot, found)
    assert told.startswith(f"slot {slot.label} of 'job': ")
    assert said in told
