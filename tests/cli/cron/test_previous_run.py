"""What a run says of the one before it."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock import CronChange, CronPast, CronSkip, CronState
from consul_lock_cli.base.console import Console
from consul_lock_cli.cron import previous_run
from consul_lock_cli.cron.previous_run import PreviousRun
from tests.cli.output.examples import HOUR, NOW, SLOT, record


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fires in the slot of 17:00."""
    monkeypatch.setattr(previous_run, "FIRED_AT", NOW)


def _past(hours: float, state: CronState = CronState.DONE, **more: Any) -> CronPast:
    """The run of so many hours before."""
    epoch = SLOT - hours * HOUR
    label = f"2026-11-21T{17 - int(hours):02}:00:00Z"
    about = {"attempt": 1, "host": "web2", "claim": "c0", "claimed_at": epoch + 1, "runtime": 12.0}
    return CronPast(label, epoch, state=state, exit=0, **{**about, **more})


def _told(capsys: pytest.CaptureFixture[str], *history: CronPast, **more: Any) -> str:
    about = {"state": CronState.RUNNING, "history": history, **more}
    PreviousRun(record(**about)).tell("backup", Console())
    return capsys.readouterr().err


@pytest.mark.parametrize("state", [CronState.DONE, CronState.FAILED, CronState.TIMEOUT])
def test_nothing_is_said_of_a_run_that_came_to_an_end(
    capsys: pytest.CaptureFixture[str], state: CronState
) -> None:
    """If it failed, it has said so itself."""
    assert _told(capsys, _past(1, state)) == ""


def test_nothing_is_said_where_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """The first run of all, or no history."""
    assert _told(capsys) == ""


def test_a_run_that_was_lost_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """It could not say so itself."""
    assert _told(capsys, _past(1, CronState.LOST, runtime=None)) == (
        "consul-lock: warning: job backup: the run before was lost: slot 16:00Z, attempt 1, on"
        " web2\n"
    )


def test_a_lost_attempt_at_the_same_slot_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Its next attempt is a run, too."""
    said = _told(capsys, _past(0, CronState.LOST, runtime=None), attempt=2)
    assert "lost: slot 17:00Z, attempt 1, on web2\n" in said
    assert "missed" not in said


def test_a_run_that_an_operator_has_reset_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    """It does not count any more."""
    assert _told(capsys, _past(1, CronState.LOST, claim="")) == ""


@pytest.mark.parametrize(
    "hours, said",
    [
        (2, "slot 16:00Z was missed: no host has run it"),
        (4, "3 slots were missed, from 14:00Z on: no host has run them"),
    ],
)
def test_slots_that_were_missed_are_counted(
    capsys: pytest.CaptureFixture[str], hours: int, said: str
) -> None:
    """Between the run before and this one."""
    assert _told(capsys, _past(hours)) == f"consul-lock: warning: job backup: {said}\n"


def test_a_slot_during_the_run_before_was_skipped_and_not_missed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It ran from 14:00 to 15:30, so that 16:00 is the only one."""
    assert "slot 16:00Z was missed" in _told(capsys, _past(3, runtime=1.5 * HOUR))
    assert _told(capsys, _past(3, runtime=2.5 * HOUR)) == ""


@pytest.mark.parametrize("ago, silent", [(1.5, True), (3.0, False)])
def test_nothing_is_missed_by_what_an_operator_has_done(
    capsys: pytest.CaptureFixture[str], ago: float, silent: bool
) -> None:
    """He has paused it since the run before, for example; what he did earlier does not matter."""
    changed = CronChange("paused", "ann@adm", NOW - ago * HOUR)
    assert (_told(capsys, _past(2), changed=changed) == "") is silent


def test_without_a_schedule_nothing_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    """IDs have no time, and an older version does not say what follows a slot."""
    assert _told(capsys, _past(4), every=None) == ""
    assert _told(capsys, _past(4), every=None, schedule="0 * * * * UTC") == ""


def test_slots_of_a_cron_expression_that_were_missed_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the claim that has just been made; what began while the run before was alive is not."""
    nightly = {"schedule": "0 * * * * UTC", "next_slot": SLOT - 3 * HOUR}
    said = _told(capsys, _past(4, **nightly), every=None, schedule="0 * * * * UTC", gap=3)
    assert "3 slots were missed, from 14:00Z on: no host has run them" in said
    busy = _past(4, **nightly, runtime=1.5 * HOUR)
    assert _told(capsys, busy, every=None, schedule="0 * * * * UTC", gap=3) == ""


def test_an_extra_run_is_not_the_run_before(capsys: pytest.CaptureFixture[str]) -> None:
    """Lost or not, it had no slot; one that was missed is said all the same."""
    extra = _past(1, CronState.LOST)._replace(slot="", epoch=None, attempt=0)
    assert _told(capsys, extra, _past(1)) == ""
    assert "was missed: no host has run it" in _told(capsys, extra, _past(2))


def test_slots_that_were_skipped_on_purpose_are_not_missed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only those of which nothing is known."""
    slots = [SLOT - hours * HOUR for hours in (2, 1)]
    skips = tuple(CronSkip(f"slot {epoch}", epoch, "overlap") for epoch in slots)
    assert _told(capsys, _past(3), skipped=skips) == ""
    told = _told(capsys, _past(3), skipped=skips[:1])
    assert "slot 16:00Z was missed" in told
