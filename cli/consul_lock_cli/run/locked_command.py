"""Get the lock, run the command under it, let it go: the middle of `run`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from consul_lock_cli.base.clock import now
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.process.child import Child, no_guardian
from consul_lock_cli.process.interrupt import Interrupted, OutOfTime
from consul_lock_cli.process.outcome import ProcessResult
from consul_lock_cli.process.signals import Signals
from consul_lock_cli.process.supervisor import Deadline
from consul_lock_cli.run.acquire import Acquisition
from consul_lock_cli.run.ancestor_processes import refuse_unnamed_ancestors
from consul_lock_cli.run.campaign import FOR_EVER
from consul_lock_cli.run.deadline import LockDeadline, NoDeadline
from consul_lock_cli.run.environment import all_keys, locked, unlocked
from consul_lock_cli.run.execution import GOODBYE, LEAVING, Execution, conclude, undertake
from consul_lock_cli.run.guardian_release import releasing, report_sessions
from consul_lock_cli.run.hold_only import keep
from consul_lock_cli.run.hooks import HookRunner
from consul_lock_cli.run.loss import AFTERWARDS, LossReport, loss_fields, loss_hint
from consul_lock_cli.run.permission import naming_rule
from consul_lock_cli.run.renewals import RenewalReport
from consul_lock_cli.run.result import RunResult
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockKind, slot_of
from consul_lock_cli.spec.run import RunSpec

if TYPE_CHECKING:
    from consul_lock import Client
    from consul_lock_cli.spec.lock import Lockable

# Seconds to ask for the index of a slot, however short the wait: it is one request.
_NUMBER_MIN = 3.0


class LockedCommand:
    """One lock around one command; without a command it is just held, until a signal comes."""

    def __init__(
        self,
        run_spec: RunSpec,
        command: Sequence[str],
        connection: Connection,
        console: Console,
        signals: Signals,
        status_file: StatusFile,
    ) -> None:
        self._spec, wait_policy, self._policy, hooks = run_spec
        self._wait_policy = wait_policy._replace(retry_for=connection.settings["retry_for"])
        self._hold_only = not command
        self._program = "" if self._hold_only else command[0]
        self._published = self._spec.published(command)
        self._connection = connection
        self._console = console
        self._signals = signals
        self._status_file = status_file
        self._act = Execution(
            self._spec.title, self._program, self._policy, console, signals, status_file
        )
        self._hooks = HookRunner(hooks, self._act, console)
        self._hooks.know(unlocked(self._spec))
        self._client: Client | None = None
        self._busy = False
        self._runtime: float | None = None
        self._acquisition = Acquisition(
            self._spec, self._wait_policy, console, status_file, connection.probe, self._reached
        )
        console.about["key"] = all_keys(self._spec)
        status_file.know(key=all_keys(self._spec), keys=self._spec.keys, mode=self._spec.mode)

    @property
    def asked(self) -> bool:
        """A signal came for consul-lock when the command had ended already."""
        return self._act.asked

    def around(self, child: Child | None) -> RunResult:
        """How it went.  Raises what fails."""
        with naming_rule(self._spec.rule):
            done = self._around(child)
        # Nothing is held any more.
        if self._busy:
            self._hooks.after("busy")
        elif done.ended is not None or done.code == ExitCode.LOST:
            self._hooks.finished(done.exit_code, self._runtime)
        return done

    def _around(self, child: Child | None) -> RunResult:
        acquisition = self._acquisition
        if self._wait_policy.splay:
            self._act.interruptibly(acquisition.splay)
        more = {"retry_for": FOR_EVER} if self._spec.mode is LockKind.LEADER else {}
        client = self._connection.client(self._console, **more)
        self._client = client
        report_sessions(client, child)
        deadline = LockDeadline()
        try:
            lock = self._lock(client, deadline)
            from consul_lock import Conflict, Unavailable

            refuse_unnamed_ancestors(self._spec, self._wait_policy.wait, client, self._act)
            try:
                if not self._acquire(lock):
                    return self._not_run(lock)
                self._status_file.hold_begins()
                slot = self._number(lock)
            except OutOfTime:
                return self._not_run(lock)
            except Conflict as error:
                found = error  # the name of an except clause ends with it
                return RunResult(
                    self._act.interruptibly(lambda: acquisition.conflict(client, found))
                )
            except Unavailable as error:
                if child is None or self._hold_only or not self._wait_policy.fail_open:
                    return RunResult(acquisition.unavailable(error))
                acquisition.unlocked(error)
                return self._run(child, NoDeadline(), unlocked(self._spec))
            loss = LossReport(client, self._spec, lock, self._status_file)
            policy = None if self._hold_only else self._policy
            RenewalReport(lock, self._spec.title, policy, self._console).begin()
            return self._under(lock, slot, deadline, child, loss)
        finally:
            self._status_file.hold_ends()
            if child is not None:
                # It ends while the session does.
                child.dismiss()
            self._act.close(client)
            self._console.hurried = False

    def _reached(self) -> bool:
        """Whether Consul has ever answered here."""
        return self._client is not None and self._client.reached

    def _not_run(self, lock: Lockable) -> RunResult:
        self._busy = True
        return RunResult(self._act.interruptibly(lambda: self._acquisition.busy(lock)))

    def _run(
        self,
        child: Child,
        deadline: Deadline,
        environment: Mapping[str, str | None],
        loss: LossReport | None = None,
    ) -> RunResult:
        begun = now()
        with self._status_file.timed():
            done = self._act.run(child, deadline, environment, loss)
        self._runtime = now() - begun
        return done

    def _lock(self, client: Client, deadline: LockDeadline) -> Lockable:
        lock = self._spec.make(client, program=self._published, on_lost=deadline.wake)
        deadline.watch(lock)
        return lock

    def _acquire(self, lock: Lockable) -> bool:
        try:
            return self._act.interruptibly(lambda: self._acquisition.contend(lock))
        except Interrupted:
            # It may have come when the lock was held already.
            self._release(lock, lost=not lock.held, budget=GOODBYE)
            raise
        finally:
            self._status_file.know(waited_s=round(self._acquisition.waited, 3))

    def _number(self, lock: Lockable) -> int | None:
        """The index of the held slot, if there are slots.

        After a crash there may be one to wait for.  Raises `OutOfTime` if that takes too long.
        """
        if self._spec.mode is not LockKind.SEMAPHORE:
            return None
        wait = self._wait_policy.wait
        budget = None if wait is None else max(_NUMBER_MIN, wait - self._acquisition.waited)
        try:
            return self._act.interruptibly(lambda: slot_of(lock), budget)
        except BaseException:
            self._release(lock, lost=not lock.held, budget=GOODBYE)
            raise

    # -- under the lock -------------------------------------------------------------------

    def _under(
        self,
        lock: Lockable,
        slot: int | None,
        deadline: LockDeadline,
        child: Child | None,
        loss: LossReport,
    ) -> RunResult:
        session, token, acquired = lock.session_id, lock.token, time.time()
        self._console.hurried = True
        waited = show_duration(self._acquisition.waited)
        self._console.debug(
            f"acquired after {waited} session={session} token={token}",
            event="acquired",
            session=session,
            token=token,
        )
        told = self._told(lock, slot, acquired)
        with contextlib.nullcontext(no_guardian) if child is None else child.hook() as tell:
            stop = self._hooks.before("acquire", told, deadline, tell)
        stop = stop or self._act.asked_to_end()
        if stop is not None:
            # It came between the acquire and here: the command is never started.
            self._release(lock, lost=False, budget=GOODBYE)
            raise Interrupted(stop)
        self._status_file.know(acquired=True, session=session, token=token)
        if deadline.lost() or not deadline.remaining():
            return self._act.lost_before(loss)
        if child is None or self._hold_only:
            if child is not None:
                # What relies on the lock from here on cannot be stopped by a guardian, so it must
                # not release: the end of the session and the lock-delay are the time to stop.
                child.abandon()
            lost = keep(self._spec, lock, slot, loss, self._console, self._signals)
            return RunResult(ExitCode.LOST if self._release(lock, lost, LEAVING) else 0)
        begun = now()
        done = self._run(child, deadline, told, loss)
        ended = done.ended
        assert ended is not None
        settled = self._ended(lock, ended, acquired, begun)
        over = ended.failure is not None or ended.lost or ended.asked or ended.typed
        late = not over and self._hold_on(lock, begun)
        hurried = ended.asked or ended.typed
        budget = LEAVING if hurried else None
        lost = self._release(lock, ended.lost or late, budget, settled)
        if not lost or ended.lost or late or ended.failure is not None:
            return done
        self._status_file.lost()
        return RunResult(ExitCode.LOST)

    def _told(self, lock: Lockable, slot: int | None, acquired: float) -> dict[str, str | None]:
        """The environment of the command."""
        return locked(self._spec, lock, slot, acquired, self._connection.place())

    def _ended(self, lock: Lockable, ended: ProcessResult, acquired: float, begun: float) -> bool:
        """The command has ended, and the lock is about to be released.

        ``acquired`` is in seconds since the epoch, ``begun`` by the monotonic clock.  Returns
        whether Consul has confirmed that it was held to the end.
        """
        return False

    def _hold_on(self, lock: Lockable, begun: float) -> bool:
        """Keep the lock for --min-hold.  Whether it was lost then, when all was done."""
        left = begun + self._wait_policy.min_hold - now()
        if left <= 0:
            return False
        self._console.debug(f"holding for another {show_duration(left)}", event="holding")
        try:
            lost = self._act.interruptibly(lambda: lock.lost.wait(left))
        except Interrupted:
            self._release(lock, lost=False, budget=GOODBYE)
            raise
        if lost:
            self._console.warn(
                f"{self._spec.title} was lost after the command had ended: others may acquire it"
                " before --min-hold is over"
            )
        return lost

    def _release(
        self, lock: Lockable, lost: bool, budget: float | None = None, settled: bool = False
    ) -> bool:
        """Whether it was lost before it could be released; trouble is reported, and ignored.

        Without a ``budget`` Consul may be away for as long as the lock counts.  ``settled``: what
        it was for is over and recorded, so its loss is none any more.
        """
        from consul_lock import ConsulLockError, LockLost, NotHeld

        if lost:
            return True
        try:
            # When its deadline is over, there is nothing to be released any more.
            if self._act.finish(lock.release, budget or max(GOODBYE, lock.remaining())):
                self._console.debug("released", event="released")
            else:
                self._console.warn("not released: interrupted by a signal; Consul frees it later")
        except (LockLost, NotHeld) as error:
            if settled:
                self._console.debug(AFTERWARDS, event="gone")
                return False
            code, hint = failure(error)
            about = {}
            if isinstance(error, LockLost):
                about = loss_fields(error.reason, error.last_error)
                hint = loss_hint(error.reason, error.last_error, self._spec.keys)
                self._status_file.know(loss=about)
            self._console.error(f"{complaint(error)} ({code:d})", hint, event="lost", **about)
            return True
        except (ConsulLockError, OutOfTime) as error:
            self._console.warn(f"not released, Consul frees it later: {error}")
        return False


def under(
    run_spec: RunSpec,
    command: tuple[str, ...],
    connection: Connection,
    console: Console,
    status_file: StatusFile,
) -> int:
    """Run the command under the lock; without a command, just hold it.  Returns the exit code.

    Dies of the signal that killed the command, if one did.
    """
    done = hold_while_running(run_spec, command, connection, console, status_file)
    return conclude(done, command, console, status_file)


def hold_while_running(
    run_spec: RunSpec,
    command: tuple[str, ...],
    connection: Connection,
    console: Console,
    status_file: StatusFile,
) -> RunResult:
    """How it went; if it raises, the status file has been written."""
    status_file.begin(console)
    return undertake(
        command,
        run_spec.process,
        console,
        status_file,
        lambda signals: LockedCommand(run_spec, command, connection, console, signals, status_file),
        release=releasing(run_spec.lock, connection),
    )
