"""Claim a slot, run the command, record how it ended: the middle of `cron run`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from consul_lock_cli import FIRED_AT
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.error_table import complaint
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.cron.claim import EnteredClaim
from consul_lock_cli.cron.disagreement import disagreement
from consul_lock_cli.cron.kept_output import KeptOutput
from consul_lock_cli.cron.outage import OutageNotice
from consul_lock_cli.cron.previous_run import PreviousRun
from consul_lock_cli.cron.report import RunReport
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.interrupt import Interrupted
from consul_lock_cli.process.signals import Signals
from consul_lock_cli.process.supervisor import Deadline
from consul_lock_cli.run.acquire import Acquisition
from consul_lock_cli.run.ancestor_processes import refuse_unnamed_ancestors
from consul_lock_cli.run.deadline import LockDeadline, NoDeadline
from consul_lock_cli.run.environment import locked, of_lost_run, of_slot, unlocked
from consul_lock_cli.run.execution import Execution
from consul_lock_cli.run.guardian_release import report_sessions
from consul_lock_cli.run.hooks import HookRunner
from consul_lock_cli.run.loss import LossReport
from consul_lock_cli.run.permission import naming_rule
from consul_lock_cli.run.renewals import RenewalReport
from consul_lock_cli.run.result import RunResult
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.cron import CronSpec, short
from consul_lock_cli.spec.run import RunSpec

if TYPE_CHECKING:
    from consul_lock import Client, CronGuard, CronPast, CronRun, Lock, Unavailable


class CronJob:
    """One slot of one job, on this host."""

    def __init__(
        self,
        run_spec: RunSpec,
        cron_spec: CronSpec,
        command: Sequence[str],
        connection: Connection,
        console: Console,
        signals: Signals,
        status_file: StatusFile,
        output: KeptOutput | None = None,
    ) -> None:
        self._spec, self._wait_policy, self._policy, hooks = run_spec
        self._name = self._spec.keys[0]
        self._cron_spec = cron_spec
        self._program = command[0]
        self._published = self._spec.published(command)
        self._connection = connection
        self._console = console
        self._status_file = status_file
        self._act = Execution(
            self._spec.title, self._program, self._policy, console, signals, status_file
        )
        self._hooks = HookRunner(hooks, self._act, console)
        self._hooks.know({**unlocked(self._spec), "CONSUL_LOCK_CRON_NAME": self._name})
        self._skipped = ""
        self._lost_run: CronPast | None = None
        self._report = RunReport(self._spec.title, cron_spec.report, output, console)
        self._acquisition = Acquisition(
            self._spec, self._wait_policy, console, status_file, connection.probe
        )
        console.about["key"] = self._name
        status_file.know(
            key=self._name, keys=self._spec.keys, mode=self._spec.mode, name=self._name
        )

    @property
    def asked(self) -> bool:
        """A signal came for consul-lock when the command had ended already."""
        return self._act.asked

    def around(self, child: Child | None) -> RunResult:
        """How it went.  Raises what fails."""
        assert child is not None
        with naming_rule(self._spec.rule):
            done = self._around(child)
        # Nothing is held any more.
        if self._skipped:
            self._hooks.after(self._skipped)
        elif done.ended is not None or done.code == ExitCode.LOST:
            self._hooks.finished(done.exit_code, self._report.runtime)
        if self._lost_run is not None:
            self._hooks.know(of_lost_run(self._lost_run))
            self._hooks.after("lost_run")
        return done

    def _around(self, child: Child) -> RunResult:
        if self._wait_policy.splay:
            self._act.interruptibly(self._acquisition.splay)
        client = self._connection.client(self._console)
        report_sessions(client, child)
        deadline = LockDeadline()
        try:
            from consul_lock import Unavailable

            guard = self._cron_spec.guard(client, self._spec, self._published, deadline.wake)
            claim = EnteredClaim(guard, self._act, self._console, self._status_file)
            if self._cron_spec.overlap == "wait":
                refuse_unnamed_ancestors(self._spec, self._wait_policy.wait, client, self._act)
            self._acquisition.begin()
            try:
                run = claim.enter()
            except Unavailable as error:
                if not self._wait_policy.fail_open:
                    return RunResult(self._unavailable(error))
                self._acquisition.unlocked(error)
                return self._everywhere(guard, child)
            finally:
                self._status_file.know(waited_s=round(self._acquisition.waited, 3))
            self._tell_slot(run)
            if differing := disagreement(self._cron_spec, run):
                self._console.warn(differing, event="disagreement")
            if not run:
                return RunResult(self._skip(run, client))
            return self._run_slot(run, claim, deadline, child, client)
        finally:
            self._status_file.hold_ends()
            # It ends while the session does.
            child.dismiss()
            self._act.close(client)
            self._console.hurried = False

    def _unavailable(self, error: Unavailable) -> int:
        """Say that Consul cannot be reached, if this host has not done so lately.  Returns the exit
        code."""
        period = self._cron_spec.outage_quiet
        # That a slot may be lost, as its claim is in doubt, is no matter of the host.
        if not period or error.uncertain:
            return self._acquisition.unavailable(error, self._spec.title)
        if OutageNotice(self._connection.place(), period).due():
            return self._acquisition.unavailable(error, self._spec.title)
        code = self._wait_policy.unavailable_code
        self._console.debug(f"{complaint(error)}: not started ({code})", event="unavailable")
        self._status_file.refused(ExitCode.UNAVAILABLE, code)
        return code

    def _tell_slot(self, run: CronRun[Lock]) -> None:
        self._console.about["slot"] = run.slot
        self._hooks.know(of_slot(self._name, run.slot, run.epoch, run.attempt))
        self._status_file.know(
            slot=run.slot,
            slot_epoch=run.epoch,
            outcome=run.outcome.value,
            attempt=run.attempt or None,
        )

    # -- not claimed ----------------------------------------------------------------------

    def _skip(self, run: CronRun[Lock], client: Client) -> int:
        """Say why nothing is run here, if that is worth a word.  Returns the exit code."""
        from consul_lock import CronOutcome

        overlap = run.outcome is CronOutcome.OVERLAP
        code = self._cron_spec.overlap_code if overlap else self._cron_spec.skip_code
        why = shown(run.reason.removeprefix(f"slot {run.slot} of {run.name!r}: "), 300)
        if self._console.verbosity and run.outcome is CronOutcome.TAKEN and self._died(run, client):
            again = "" if self._cron_spec.retry_crashed else " without --retry-crashed"
            why = f"the run was lost, and is not repeated{again}"
        text = f"slot {short(run.slot, run.epoch, FIRED_AT)} of {self._spec.title}: {why}"
        # One warning of all hosts is enough.
        say = self._console.warn if overlap and run.first else self._console.debug
        say(text, event="skipped", outcome=run.outcome.value, code=code)
        self._status_file.skipped(code)
        self._skipped = "busy" if overlap else "skip"
        return code

    def _died(self, run: CronRun[Lock], client: Client) -> bool:
        """Whether the run that has the slot died, which the record alone does not say."""
        from consul_lock import ConsulLockError, CronRecords

        try:
            record = CronRecords(client).record(self._name)
        except ConsulLockError:
            return False  # only a word would be better
        return record is not None and record.slot == run.slot and record.crashed

    def _everywhere(self, guard: CronGuard, child: Child) -> RunResult:
        """Consul is away, and the user has said that the job may run all the same."""
        label = guard.slot(FIRED_AT)
        epoch = self._cron_spec.epoch(label)
        told = of_slot(self._name, label, epoch, 0)
        self._hooks.know(told)
        done = self._run(child, NoDeadline(), {**unlocked(self._spec), **told})
        return self._finish(label, epoch, 0, done)

    # -- the command ----------------------------------------------------------------------

    def _run(
        self,
        child: Child,
        deadline: Deadline,
        environment: Mapping[str, str | None],
        loss: LossReport | None = None,
    ) -> RunResult:
        self._report.begin()
        with self._status_file.timed():
            done = self._act.run(child, deadline, environment, loss)
        self._report.ran()
        return done

    def _finish(self, slot: str, epoch: float | None, attempt: int, done: RunResult) -> RunResult:
        """Nothing is held any more, so what follows may take its time."""
        assert done.ended is not None
        self._console.hurried = False
        self._report.finish(slot, epoch, attempt, done.ended, done.exit_code, self._act)
        return done

    # -- claimed --------------------------------------------------------------------------

    def _run_slot(
        self,
        run: CronRun[Lock],
        claim: EnteredClaim,
        deadline: LockDeadline,
        child: Child,
        client: Client,
    ) -> RunResult:
        acquired, lock = time.time(), run.lock
        self._console.hurried = True
        about: dict[str, object] = {"attempt": run.attempt}
        told, held, loss = dict(unlocked(self._spec)), None, None
        if lock is not None:
            self._status_file.hold_begins()
            deadline.watch(lock)
            loss, held = LossReport(client, self._spec, lock, self._status_file), deadline
            RenewalReport(lock, self._spec.title, self._policy, self._console).begin()
            told = locked(self._spec, lock, None, acquired, self._connection.place())
            about.update(session=lock.session_id, token=lock.token)
            self._status_file.know(acquired=True, session=lock.session_id, token=lock.token)
        self._console.debug(
            f"claimed slot {short(run.slot, run.epoch, FIRED_AT)} after"
            f" {show_duration(self._acquisition.waited)}: "
            + " ".join(f"{name}={value}" for name, value in about.items()),
            event="acquired",
            **about,
        )
        told |= of_slot(self._name, run.slot, run.epoch, run.attempt)
        if run.record is not None:
            previous = PreviousRun(run.record)
            self._lost_run = previous.lost
            if self._cron_spec.report != "never":
                previous.tell(self._spec.title, self._console)
        with child.hook() as hooked:
            stop = self._hooks.before("acquire", told, held or NoDeadline(), hooked)
        stop = stop or self._act.asked_to_end()
        if stop is not None:
            claim.never_run(stop)
            raise Interrupted(stop)
        if held is not None and loss is not None and (held.lost() or not held.remaining()):
            claim.lost_before()
            return self._act.lost_before(loss)
        done = self._run(child, held or NoDeadline(), told, loss)
        assert done.ended is not None
        if claim.leave(done.ended) and done.ended.failure is None:
            self._status_file.lost()
            done = done._replace(code=ExitCode.LOST)
        return self._finish(run.slot, run.epoch, run.attempt, done)
