"""A claim of a slot: what is recorded, and what is said if it cannot be left in order."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from consul_lock import (
    CronState,
    LockLost,
    LossReason,
    NotHeld,
    PermissionDenied,
    Unavailable,
)
from consul_lock_cli import FIRED_AT
from consul_lock_cli.base.console import Console
from consul_lock_cli.cron.claim import EnteredClaim
from consul_lock_cli.process.interrupt import Interrupted, OutOfTime
from consul_lock_cli.process.outcome import ProcessResult, StopReason
from consul_lock_cli.run.execution import LEAVING
from consul_lock_cli.run.status_file import StatusFile

Capture = pytest.CaptureFixture[str]


class _Run:
    """What a guard gives; it is recorded when its block is left."""

    slot = "08:00"
    name = "job"

    def __init__(self, left: float | None) -> None:
        self.lost = threading.Event()
        lock = SimpleNamespace(remaining=lambda: left, lost=self.lost)
        self.lock = None if left is None else lock
        self.end: tuple[CronState, int | None] | None = None
        self.recorded = False

    def ended(self, state: CronState, code: int | None = None) -> None:
        self.end = state, code


class _Guard:
    def __init__(self, run: _Run, on_exit: BaseException | None, records: bool) -> None:
        self._run, self._on_exit, self._records = run, on_exit, records
        self.fired: list[float] = []

    @contextmanager
    def claim(self, fired_at: float) -> Iterator[_Run]:
        self.fired.append(fired_at)
        yield self._run
        self._run.recorded = self._records
        if self._on_exit is not None:
            raise self._on_exit


class _Execution:
    """Runs what may be interrupted; a signal may come after it, or cut its end off."""

    def __init__(self, signum: int | None, finishes: bool) -> None:
        self._signum, self._finishes = signum, finishes
        self.budgets: list[float] = []

    def interruptibly(self, act: Callable[[], object]) -> object:
        done = act()
        if self._signum is not None:
            raise Interrupted(self._signum)
        return done

    def finish(self, act: Callable[[], object], budget: float) -> bool:
        self.budgets.append(budget)
        if self._finishes:
            act()
        return self._finishes


class _Scene:
    def __init__(
        self, left: float | None = 25.0, on_exit: BaseException | None = None,
        records: bool = True, signum: int | None = None, finishes: bool = True,
    ) -> None:  # fmt: skip
        self.run = _Run(left)
        self.guard = _Guard(self.run, on_exit, records)
        self.act = _Execution(signum, finishes)
        guard: Any = self.guard
        act: Any = self.act
        self.console = Console()
        self.console.verbosity = 1
        self.status_file = StatusFile()
        self.claim = EnteredClaim(guard, act, self.console, self.status_file)

    def entered(self) -> _Scene:
        assert self.claim.enter() is self.run
        assert self.guard.fired == [FIRED_AT]
        return self


def _ended(code: int = 0, **more: Any) -> ProcessResult:
    return ProcessResult(code, **{"lost": False, "typed": False, "failure": None, **more})


@pytest.mark.parametrize(
    "ended, state, code",
    [
        (_ended(), CronState.DONE, 0),
        (_ended(3), CronState.FAILED, 3),
        (_ended(-9), CronState.FAILED, 137),
        (_ended(0, failure=OSError(errno.ENOENT, "x")), CronState.FAILED, 127),
        (_ended(-15, stopped=StopReason.LOST, lost=True), CronState.LOST, 76),
        (_ended(0, stopped=StopReason.OVERTIME), CronState.TIMEOUT, 124),
        (_ended(0, lost=True), CronState.DONE, 0),
    ],
)
def test_the_end_of_the_command_is_that_of_the_run(
    ended: ProcessResult, state: CronState, code: int, capsys: Capture
) -> None:
    """With the exit code that consul-lock has."""
    scene = _Scene().entered()
    assert scene.claim.leave(ended) is False
    assert scene.run.end == (state, code)
    assert capsys.readouterr().err == "consul-lock: released\n"


def test_a_lock_that_is_gone_when_the_end_was_recorded_is_not_said_to_be_released(
    capsys: Capture,
) -> None:
    """That is no loss of the run, and the exit code stays that of the command."""
    scene = _Scene().entered()
    scene.run.lost.set()
    assert scene.claim.leave(_ended()) is False
    assert capsys.readouterr().err == (
        "consul-lock: not released: the lock was lost when the end of the run had been recorded\n"
    )


@pytest.mark.parametrize("left, budget", [(25.0, 25.0), (1.0, 6.0), (None, 6.0)])
def test_as_long_as_the_lock_counts_its_end_may_be_recorded(
    left: float | None, budget: float
) -> None:
    """And for some seconds at least."""
    scene = _Scene(left).entered()
    scene.claim.leave(_ended())
    assert scene.act.budgets == [budget]


@pytest.mark.parametrize("more", [{"asked": True}, {"typed": True}], ids=repr)
def test_a_signal_while_the_command_ran_shortens_what_follows(more: dict[str, bool]) -> None:
    """It came once, and service managers kill what has not ended some seconds later."""
    scene = _Scene(25.0).entered()
    scene.claim.leave(_ended(-15, **more))
    assert scene.act.budgets == [LEAVING]


@pytest.mark.parametrize("error", [LockLost("gone"), NotHeld("gone")])
def test_a_loss_that_nobody_had_noticed_is_reported(error: Exception, capsys: Capture) -> None:
    """One that was noticed while the command ran is old."""
    assert _Scene(on_exit=error).entered().claim.leave(_ended()) is True
    assert "consul-lock: gone (7" in capsys.readouterr().err
    assert _Scene(on_exit=error).entered().claim.leave(_ended(lost=True)) is False
    assert capsys.readouterr().err == ""


def test_the_reason_of_such_a_loss_is_in_the_log_and_in_the_status_file(capsys: Capture) -> None:
    """With what the last renewal failed with."""
    why = PermissionDenied("no", kind="unknown-token", action="renewing a session")
    error = LockLost("gone", reason=LossReason.DEADLINE, last_error=why)
    scene = _Scene(on_exit=error).entered()
    scene.console.json = True
    scene.claim.leave(_ended())
    event = json.loads(capsys.readouterr().err)
    loss = {name: event[name] for name in ("reason", "error", "error_kind")}
    assert (loss["reason"], loss["error_kind"]) == ("deadline", "unknown-token")
    assert "renewing a session" in loss["error"]
    assert scene.status_file._known["loss"] == loss


@pytest.mark.parametrize(
    "more, said",
    [
        ({"on_exit": Unavailable("away")}, "not released, Consul frees it later: away"),
        ({"on_exit": OutOfTime("no answer")}, "not released, Consul frees it later: no answer"),
        ({"finishes": False}, "not released: interrupted by a signal; Consul frees it later"),
        ({"records": False}, "the outcome of slot 08:00 could not be recorded"),
    ],
)
def test_what_could_not_be_done_is_a_warning(
    more: dict[str, Any], said: str, capsys: Capture
) -> None:
    """The exit code stays that of the command."""
    assert _Scene(**more).entered().claim.leave(_ended()) is False
    assert f"consul-lock: warning: {said}" in capsys.readouterr().err


def test_a_slot_that_was_won_when_a_signal_came_has_failed(capsys: Capture) -> None:
    """The command never ran; nobody waits for the answer for long."""
    scene = _Scene(signum=15)
    with pytest.raises(Interrupted):
        scene.claim.enter()
    assert scene.run.end == (CronState.FAILED, 143)
    assert scene.run.recorded
    assert scene.act.budgets == [1.0]


def test_a_lock_that_was_lost_before_the_command_ran_makes_the_run_a_lost_one() -> None:
    """It has no exit code."""
    scene = _Scene(on_exit=LockLost("gone")).entered()
    scene.claim.lost_before()
    assert scene.run.end == (CronState.LOST, None)


def test_a_signal_before_the_claim_leaves_nothing_to_be_recorded() -> None:
    """There is no run yet."""
    scene = _Scene()
    scene.claim.never_run(15)
    scene.claim.lost_before()
    assert (scene.run.end, scene.act.budgets) == (None, [])
