"""The outcome of a claim, as the program that made it sees it."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.cron.decision import CronOutcome
from consul_lock._protocol.cron.record import CronRecord, CronState
from consul_lock._protocol.cron.run import CronRun, is_exit_code
from consul_lock._protocol.cron.slot import slot_at, slot_of_id
from consul_lock.errors import ConfigError


def run(outcome: CronOutcome = CronOutcome.RUN, record: CronRecord | None = None) -> CronRun[Any]:
    return CronRun(outcome, "job", slot_at(3600.0), record)


@pytest.mark.parametrize("outcome", list(CronOutcome))
def test_it_is_true_on_the_host_that_has_the_slot_only(outcome: CronOutcome) -> None:
    """So is the number of the attempt its own: that of another host's is none of its business."""
    found = run(outcome, CronRecord("job", attempt=2))
    assert bool(found) is (outcome is CronOutcome.RUN)
    assert found.attempt == (2 if found else 0)
    assert run(outcome).attempt == 0
    assert found.reason in repr(found)


def test_the_slot_is_a_label_and_a_time_if_it_is_one() -> None:
    """An ID has none."""
    assert (run().slot, run().epoch) == ("1970-01-01T01:00:00Z", 3600.0)
    by_id = CronRun[Any](CronOutcome.RUN, "job", slot_of_id("v7"), None)
    assert (by_id.slot, by_id.epoch) == ("v7", None)


@pytest.mark.parametrize(
    "code, good",
    [
        (0, True), (-9, True), (255, True), (2**63 - 1, True), (1 - 2**63, True),
        (2**63, False), (-(2**63), False), (True, False), (1.0, False), ("1", False), (None, False),
    ],
)  # fmt: skip
def test_an_exit_code_is_what_a_record_can_hold(code: Any, good: bool) -> None:
    """With anything else no host could read the record any more."""
    assert is_exit_code(code) is good
    made = run()
    if good or code is None:
        made.ended(CronState.FAILED, code)
        assert made.end == (CronState.FAILED, code)
    else:
        with pytest.raises(ConfigError, match="no exit code"):
            made.ended(CronState.FAILED, code)
        assert made.end is None


@pytest.mark.parametrize("state", list(CronState))
def test_a_run_can_only_say_that_it_has_ended(state: CronState) -> None:
    """Not that it is under way, or that nothing was run."""
    made = run()
    if state in (CronState.IDLE, CronState.CLAIMED, CronState.RUNNING):
        with pytest.raises(ConfigError, match="no end that a run can say"):
            made.ended(state)
    else:
        made.ended(state)
        assert made.end == (state, None)
