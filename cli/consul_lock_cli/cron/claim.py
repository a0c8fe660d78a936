"""A claim of a slot: entered and left where a signal can cut it off."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from consul_lock_cli import FIRED_AT
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.process.interrupt import Interrupted, OutOfTime
from consul_lock_cli.process.outcome import ProcessResult, StopReason, exit_code
from consul_lock_cli.run.execution import GOODBYE, LEAVING, Execution
from consul_lock_cli.run.loss import AFTERWARDS, loss_fields, loss_hint
from consul_lock_cli.run.status_file import StatusFile

if TYPE_CHECKING:
    from consul_lock import CronGuard, CronRun, CronState, Lock


class EnteredClaim:
    """One claim, of the slot in which consul-lock was started."""

    def __init__(
        self, guard: CronGuard, act: Execution, console: Console, status_file: StatusFile
    ) -> None:
        self._guard = guard
        self._act = act
        self._console = console
        self._block = ExitStack()
        self._run: CronRun[Lock] | None = None
        self._status_file = status_file

    def enter(self) -> CronRun[Lock]:
        """Its outcome.  A signal ends it; a slot that was won by then counts as failed."""

        def claim() -> CronRun[Lock]:
            self._run = self._block.enter_context(self._guard.claim(FIRED_AT))
            return self._run

        try:
            return self._act.interruptibly(claim)
        except Interrupted as stop:
            self.never_run(stop.signum)
            raise

    def never_run(self, signum: int) -> None:
        """A signal ended consul-lock after the claim, before the command ran."""
        from consul_lock import CronState

        if self._run:
            self._run.ended(CronState.FAILED, 128 + signum)
            self._leave(self._run, GOODBYE)

    def lost_before(self) -> None:
        """The lock was gone before the command could be started."""
        from consul_lock import CronState

        if self._run:
            self._run.ended(CronState.LOST)
            self._leave(self._run, GOODBYE)

    def leave(self, ended: ProcessResult) -> bool:
        """Record the end and release.  Returns whether the lock was lost before that, unnoticed."""
        run = self._run
        assert run is not None
        run.ended(state_of(ended), exit_code(ended))
        left = 0.0
        if run.lock is not None and not (ended.asked or ended.typed):
            left = run.lock.remaining()
        lost = self._leave(run, max(LEAVING, left), known=ended.lost)
        return lost and not ended.lost

    def _leave(self, run: CronRun[Lock], budget: float, known: bool = True) -> bool:
        from consul_lock import ConsulLockError, LockLost, NotHeld

        lost = False
        try:
            # A second signal leaves it time to be recorded.
            if not self._act.finish(self._block.close, budget):
                self._console.warn("not released: interrupted by a signal; Consul frees it later")
            elif run.lock is not None and run.lock.lost.is_set():
                self._console.debug(AFTERWARDS, event="gone")
            elif run.lock is not None:
                self._console.debug("released", event="released")
        except (LockLost, NotHeld) as error:
            lost = True
            if not known:
                code, hint = failure(error)
                about = {}
                if isinstance(error, LockLost):
                    about = loss_fields(error.reason, error.last_error)
                    hint = loss_hint(error.reason, error.last_error, (run.name,))
                    self._status_file.know(loss=about)
                self._console.error(f"{complaint(error)} ({code:d})", hint, event="lost", **about)
        except (ConsulLockError, OutOfTime) as error:
            self._console.warn(f"not released, Consul frees it later: {error}")
        if not run.recorded:
            self._console.warn(
                f"the outcome of slot {run.slot} could not be recorded: it will be shown as lost",
                event="unrecorded",
            )
        return lost


def state_of(ended: ProcessResult) -> CronState:
    """How the run of a job has ended."""
    from consul_lock import CronState

    if ended.stopped is not None:
        return CronState.LOST if ended.stopped is StopReason.LOST else CronState.TIMEOUT
    return CronState.FAILED if exit_code(ended) else CronState.DONE
