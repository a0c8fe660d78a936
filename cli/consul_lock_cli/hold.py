"""Get the lock, run the command under it, let it go: the middle of `run`."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from consul_lock_cli import signals
from consul_lock_cli.child import Child
from consul_lock_cli.contest import Contest
from consul_lock_cli.durations import show_duration
from consul_lock_cli.environment import all_keys, locked, unlocked
from consul_lock_cli.exits import ExitCode, complaint, failure
from consul_lock_cli.interruption import Interrupted, OutOfTime, T, interruptible
from consul_lock_cli.keeping import keep
from consul_lock_cli.lease import LockLease, NoLease
from consul_lock_cli.manner import Manner, show_signal
from consul_lock_cli.names import shown
from consul_lock_cli.options import Connection
from consul_lock_cli.patience import Patience
from consul_lock_cli.report import Report
from consul_lock_cli.supervise import Ended, Lease, Supervisor
from consul_lock_cli.talk import Talk
from consul_lock_cli.what import What

if TYPE_CHECKING:
    from consul_lock import Client
    from consul_lock_cli.what import Lockable

# Seconds for goodbyes to a Consul that may be out of order: the session ends without us too.
_GOODBYE = 1.0


class Wanted(NamedTuple):
    """What the user asked for."""

    what: What
    patience: Patience = Patience()
    manner: Manner = Manner()


class Done(NamedTuple):
    """What is to be passed on: an exit code of ours, else how the command ended."""

    code: int | None
    ended: Ended | None = None
    asked: bool = False
    """While it ran, TERM asked us to end."""


class _Attentive(Supervisor):
    """Remembers whether we were asked to end: how the command ended does not tell."""

    asked = False

    def _handle(self, signum: int, by_kernel: bool) -> None:
        self.asked = self.asked or signum == signal.SIGTERM
        super()._handle(signum, by_kernel)


class Hold:
    """One lock around one command; without a command it is just held, until a signal comes."""

    def __init__(
        self,
        wanted: Wanted,
        command: Sequence[str],
        connection: Connection,
        talk: Talk,
        ours: signals.Signals,
        report: Report,
    ) -> None:
        self._what, self._patience, self._manner = wanted
        self._program = command[0] if command else ""
        self._connection = connection
        self._talk = talk
        self._ours = ours
        self._report = report
        self._contest = Contest(self._what, self._patience, talk, report)
        talk.about["key"] = all_keys(self._what)
        report.know(key=all_keys(self._what), keys=self._what.keys, mode=self._what.mode)

    def around(self, child: Child | None) -> Done:
        """How it went.  Raises what fails."""
        contest = self._contest
        if self._patience.splay:
            self._attentively(contest.splay)
        client = self._connection.client(self._talk)
        lease = LockLease()
        try:
            lock = self._lock(client, lease)
            from consul_lock import Unavailable

            try:
                if not self._acquire(lock):
                    return Done(self._attentively(lambda: contest.busy(lock)))
            except Unavailable as error:
                if child is None or not self._patience.fail_open:
                    return Done(contest.unavailable(error))
                contest.unlocked(error)
                return self._run(child, None, NoLease(), unlocked(self._what))
            return self._under(lock, lease, child)
        finally:
            self._close(client)
            self._talk.hurried = False

    def _lock(self, client: Client, lease: LockLease) -> Lockable:
        lock = self._what.make(client, program=self._program, on_lost=lease.wake)
        lease.watch(lock)
        return lock

    def _acquire(self, lock: Lockable) -> bool:
        try:
            return self._attentively(lambda: self._contest.contend(lock))
        except Interrupted:
            # It may have come when the lock was ours already.
            self._release(lock, lost=not lock.held, budget=_GOODBYE)
            raise
        finally:
            self._report.know(waited_s=round(self._contest.waited, 3))

    def _attentively(self, act: Callable[[], T], budget: float | None = None) -> T:
        """Whatever else a signal cuts off, the report is written."""
        return interruptible(
            self._ours, act, budget, lambda s: self._report.write_interrupted(s, self._talk)
        )

    # -- under the lock -------------------------------------------------------------------

    def _under(self, lock: Lockable, lease: LockLease, child: Child | None) -> Done:
        session, token, acquired = lock.session_id, lock.token, time.time()
        self._talk.hurried = True
        self._talk.note(
            f"acquired after {show_duration(self._contest.waited)} session={session} token={token}",
            event="acquired",
            session=session,
            token=token,
        )
        stop = signals.asked_to_end(self._ours)
        if stop is not None:
            # It came between the acquire and here: the command is never started.
            self._release(lock, lost=False, budget=_GOODBYE)
            raise Interrupted(stop)
        self._report.know(acquired=True, session=session, token=token)
        if child is None:
            lost = keep(self._what, lock, acquired, self._talk, self._ours)
            return Done(ExitCode.LOST if self._release(lock, lost) else 0)
        done = self._run(child, lock, lease, locked(self._what, lock, acquired))
        ended = done.ended
        assert ended is not None
        late = ended.failure is None and not ended.lost and self._hold_on(lock, acquired)
        lost = self._release(lock, ended.lost or late)
        if not lost or ended.lost or late or ended.failure is not None:
            return done
        self._report.lost()
        return Done(ExitCode.LOST)

    def _run(
        self,
        child: Child,
        lock: Lockable | None,
        lease: Lease,
        environment: Mapping[str, str | None],
    ) -> Done:
        begun = time.time()
        supervisor = _Attentive(
            child,
            lease,
            self._ours,
            manner=self._manner,
            on_lost=lambda grace: self._lost(lock, child.pid, begun, grace),
            on_overtime=lambda grace: self._overtime(child.pid, grace),
            on_kill=lambda: self._talk.note(f"sent KILL to {child.pid}", event="killed"),
        )
        if self._talk.json:
            # Of no use to people, who see what it does.
            self._talk.note(f"starting {shown(self._program)}", event="started", pid=child.pid)
        ended = supervisor.run(dict(environment))
        after = time.time() - begun
        how = f"exited {ended.code}" if ended.code >= 0 else f"died of {show_signal(-ended.code)}"
        self._talk.note(
            f"command {how} after {show_duration(after)}",
            event="exited",
            after_s=round(after, 3),
            code=ended.code,
        )
        self._report.ended(ended)
        return Done(None, ended, supervisor.asked)

    def _lost(self, lock: Lockable | None, pid: int, begun: float, grace: float) -> None:
        reason = lock.lost_reason if lock is not None else None
        why = reason.value if reason else "no renewal succeeded for too long"
        after = show_duration(time.time() - begun)
        code = f" ({ExitCode.LOST:d})" if self._manner.on_lost.stops else ""
        self._talk.error(
            f"LOST {self._what.title} after {after}: {why};"
            f" {self._manner.after_loss(pid, grace)}{code}",
            event="lost",
            reason=why,
        )

    def _overtime(self, pid: int, grace: float) -> None:
        most = show_duration(self._manner.max_runtime or 0.0)
        self._talk.error(
            f"{shown(self._program)} ran for {most}, which is its --max-runtime;"
            f" {self._manner.stopping(pid, grace)} ({ExitCode.OVERTIME:d})",
            event="stopping",
        )

    def _hold_on(self, lock: Lockable, acquired: float) -> bool:
        """Keep the lock for --min-hold.  Whether it was lost then, which does no harm any more."""
        left = acquired + self._patience.min_hold - time.time()
        if left <= 0:
            return False
        self._talk.note(f"holding on for {show_duration(left)}", event="holding")
        try:
            return self._attentively(lambda: lock.lost.wait(left))
        except Interrupted:
            self._release(lock, lost=False, budget=_GOODBYE)
            raise

    # -- after ----------------------------------------------------------------------------

    def _release(self, lock: Lockable, lost: bool, budget: float | None = None) -> bool:
        """Whether it was lost before it could be released; trouble is told, and passed over."""
        from consul_lock import ConsulLockError, LockLost, NotHeld

        if lost:
            return True
        try:
            self._attentively(lock.release, budget)
            self._talk.note("released", event="released")
        except (LockLost, NotHeld) as error:
            code, hint = failure(error)
            self._talk.error(f"{complaint(error)} ({code:d})", hint, event="lost")
            return True
        except (ConsulLockError, Interrupted, OutOfTime) as error:
            self._talk.warn(f"not released, it frees itself later: {error}")
        return False

    def _close(self, client: Client) -> None:
        try:
            self._attentively(client.close, budget=_GOODBYE)
        except (Interrupted, OutOfTime):
            pass
        except Exception as error:  # noqa: BLE001 - all is done; the session ends without us too
            self._talk.note(f"while closing: {error}")
