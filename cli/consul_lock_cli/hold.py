"""Get the lock, run the command under it, let it go: the middle of `run`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from consul_lock_cli import signals
from consul_lock_cli.campaign import FOR_EVER
from consul_lock_cli.child import Child
from consul_lock_cli.clock import now
from consul_lock_cli.contest import Contest
from consul_lock_cli.durations import show_duration
from consul_lock_cli.ending import Done
from consul_lock_cli.environment import all_keys, locked, unlocked
from consul_lock_cli.exits import ExitCode, complaint, failure
from consul_lock_cli.interruption import Interrupted, OutOfTime, T, interruptible
from consul_lock_cli.keeping import keep
from consul_lock_cli.lease import LockLease, NoLease
from consul_lock_cli.loss import Loss
from consul_lock_cli.options import Connection
from consul_lock_cli.report import Report
from consul_lock_cli.story import Story
from consul_lock_cli.supervise import Lease, Supervisor
from consul_lock_cli.talk import Talk
from consul_lock_cli.wanted import Wanted
from consul_lock_cli.what import Mode, slot_of

if TYPE_CHECKING:
    from consul_lock import Client
    from consul_lock_cli.what import Lockable

# Seconds for goodbyes to a Consul that may be out of order: the session ends without us too.
_GOODBYE = 1.0

# Seconds to ask for the number of a slot, however impatient we are: it is one request.
_NUMBER_LEAST = 3.0


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
        self.asked = False
        """A signal asked us to end when the command had ended already."""
        talk.about["key"] = all_keys(self._what)
        report.know(key=all_keys(self._what), keys=self._what.keys, mode=self._what.mode)

    def around(self, child: Child | None) -> Done:
        """How it went.  Raises what fails."""
        contest = self._contest
        if self._patience.splay:
            self._attentively(contest.splay)
        more = {"retry_for": FOR_EVER} if self._what.mode is Mode.LEADER else {}
        client = self._connection.client(self._talk, **more)
        lease = LockLease()
        try:
            lock = self._lock(client, lease)
            from consul_lock import Unavailable

            try:
                if not self._acquire(lock):
                    return Done(self._attentively(lambda: contest.busy(lock)))
                slot = self._number(lock)
            except OutOfTime:
                return Done(self._attentively(lambda: contest.busy(lock)))
            except Unavailable as error:
                if child is None or not self._patience.fail_open:
                    return Done(contest.unavailable(error))
                contest.unlocked(error)
                return self._run(child, NoLease(), unlocked(self._what))
            return self._under(lock, slot, lease, child, Loss(client, self._what, lock))
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

    def _number(self, lock: Lockable) -> int | None:
        """The number of our slot, if there are slots.

        After a crash there may be one to wait for.  Raises `OutOfTime` if that takes too long.
        """
        if self._what.mode is not Mode.SEMAPHORE:
            return None
        wait = self._patience.wait
        budget = None if wait is None else max(_NUMBER_LEAST, wait - self._contest.waited)
        try:
            return self._attentively(lambda: slot_of(lock), budget)
        except BaseException:
            self._release(lock, lost=not lock.held, budget=_GOODBYE)
            raise

    # -- under the lock -------------------------------------------------------------------

    def _under(
        self, lock: Lockable, slot: int | None, lease: LockLease, child: Child | None, loss: Loss
    ) -> Done:
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
        if lease.lost() or not lease.remaining():
            return self._lost_before(loss)
        if child is None:
            lost = keep(self._what, lock, slot, loss, self._talk, self._ours)
            return Done(ExitCode.LOST if self._release(lock, lost) else 0)
        begun = now()
        told = locked(self._what, lock, slot, acquired, self._connection.place())
        done = self._run(child, lease, told, loss)
        ended = done.ended
        assert ended is not None
        over = ended.failure is not None or ended.lost or ended.asked or ended.typed
        late = not over and self._hold_on(lock, begun)
        lost = self._release(lock, ended.lost or late)
        if not lost or ended.lost or late or ended.failure is not None:
            return done
        self._report.lost()
        return Done(ExitCode.LOST)

    def _lost_before(self, loss: Loss) -> Done:
        """We were stopped for too long: somebody else may have it, so nothing is started."""
        why, about = loss.cause()
        self._talk.error(
            f"LOST {self._what.title} before the command was started: {why} ({ExitCode.LOST:d})",
            event="lost",
            **about,
        )
        self._report.know(lost=True)
        self._report.refused(ExitCode.LOST, ExitCode.LOST)
        return Done(ExitCode.LOST)

    def _run(
        self,
        child: Child,
        lease: Lease,
        environment: Mapping[str, str | None],
        loss: Loss | None = None,
    ) -> Done:
        story = Story(self._talk, self._what.title, self._program, child.pid, self._manner)
        supervisor = Supervisor(
            child,
            lease,
            self._ours,
            manner=self._manner,
            on_lost=lambda grace: story.lost(loss, grace),
            on_overtime=story.overtime,
            on_kill=story.killed,
        )
        ended = supervisor.run(dict(environment))
        story.exited(ended.code)
        self._report.ended(ended)
        return Done(None, ended)

    def _hold_on(self, lock: Lockable, begun: float) -> bool:
        """Keep the lock for --min-hold.  Whether it was lost then, when all was done."""
        left = begun + self._patience.min_hold - now()
        if left <= 0:
            return False
        self._talk.note(f"holding on for {show_duration(left)}", event="holding")
        try:
            lost = self._attentively(lambda: lock.lost.wait(left))
        except Interrupted:
            self._release(lock, lost=False, budget=_GOODBYE)
            raise
        if lost:
            self._talk.warn(
                f"{self._what.title} was lost after the command had ended: others may have it"
                " before --min-hold is over"
            )
        return lost

    def _release(self, lock: Lockable, lost: bool, budget: float | None = None) -> bool:
        """Whether it was lost before it could be released; trouble is told, and passed over."""
        from consul_lock import ConsulLockError, LockLost, NotHeld

        if lost:
            return True
        try:
            # When its deadline is over, there is nothing to be released any more.
            self._attentively(lock.release, budget or max(_GOODBYE, lock.remaining()))
            self._talk.note("released", event="released")
        except (LockLost, NotHeld) as error:
            code, hint = failure(error)
            self._talk.error(f"{complaint(error)} ({code:d})", hint, event="lost")
            return True
        except (ConsulLockError, Interrupted, OutOfTime) as error:
            self.asked = self.asked or isinstance(error, Interrupted)
            self._talk.warn(f"not released, it frees itself later: {error}")
        return False

    def _close(self, client: Client) -> None:
        try:
            self._attentively(client.close, budget=_GOODBYE)
        except (Interrupted, OutOfTime) as error:
            self.asked = self.asked or isinstance(error, Interrupted)
        except Exception as error:  # noqa: BLE001 - all is done; the session ends without us too
            self._talk.note(f"while closing: {error}")
