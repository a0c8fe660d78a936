"""Acquiring the lock, or giving up: messages and actions of `run` until it has it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from consul_lock.limits import LOCK_DELAY_MAX
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.error_table import complaint, failure, never_answered
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.output.holder_text import held_by
from consul_lock_cli.run.campaign import campaign
from consul_lock_cli.run.live_line import BackgroundPoll, LiveLine, somebody_looks
from consul_lock_cli.run.misfit import misfit, way_in
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.run.wait_report import WaitReport
from consul_lock_cli.spec.lock import LockKind, LockSpec, who_holds
from consul_lock_cli.spec.run import WaitPolicy

if TYPE_CHECKING:
    from consul_lock import Client, Conflict, Holder, Unavailable
    from consul_lock_cli.spec.lock import Lockable


# A holder that vanishes leaves a lock that nobody can acquire for a while; how long is unknown.
_IN_LOCK_DELAY = f"-w 1m waits: a lock-delay is over after {show_duration(LOCK_DELAY_MAX)} at most"


# Seconds before a run that does not wait asks Consul again, after an error of Consul.
_AGAIN = (0.3, 0.7)


class Acquisition:
    """One attempt.  Its methods block, so they are called where a signal can end them.

    ``connect`` makes another client, which does not retry, to see whether Consul answers;
    ``reached`` says whether it has answered that of the lock.
    """

    def __init__(
        self,
        spec: LockSpec,
        wait_policy: WaitPolicy,
        console: Console,
        status_file: StatusFile,
        connect: Callable[[], Client],
        reached: Callable[[], bool] = lambda: True,
    ) -> None:
        self._spec = spec
        self._wait_policy = wait_policy
        self._console = console
        self._status_file = status_file
        self._started = time.monotonic()
        self._connect = connect
        self._reached = reached
        self._tried_once = False
        """Nothing ever answered, and the one try without a wait was enough of that."""

    @property
    def waited(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._started

    def splay(self) -> None:
        """Sleep first, so that hosts whose clocks agree do not all come at once."""
        from random import SystemRandom

        seconds = SystemRandom().uniform(0.0, self._wait_policy.splay)
        self._console.debug(f"sleeping for {show_duration(seconds)}", event="splay")
        time.sleep(seconds)

    def begin(self) -> None:
        """The wait begins now."""
        self._started = time.monotonic()

    def contend(self, lock: Lockable) -> bool:
        """Whether the lock was acquired."""
        self.begin()
        report = WaitReport(self._spec, self._connect, self._console)
        if self._spec.mode is LockKind.LEADER:
            return self._contend(lock, report)

        def unavailable(text: str) -> None:
            # The report of the wait says it, and when: cron mails each line.
            # The library warns when errors were retried for --retry-for.
            report.trouble(text, self._wait_policy.retry_for)

        with self._console.taking("unavailable", unavailable):
            acquired = self._contend(lock, report)
        if acquired:
            report.over()
        return acquired

    def _contend(self, lock: Lockable, report: WaitReport) -> bool:
        wait = self._wait_policy.wait
        if not self._console.verbosity and somebody_looks(self._console):
            line = LiveLine()
            try:
                return self._reporting(report.on_terminal(line), lock, wait)
            finally:
                line.erase()
        if wait == 0:
            return self._once(lock)
        if self._console.quiet:
            return self._acquire(lock, wait)
        if self._console.verbosity and self._at_once(lock, report):
            return True
        return self._reporting(report.in_log(), lock, wait)

    def _acquire(self, lock: Lockable, wait: float | None) -> bool:
        if self._spec.mode is LockKind.LEADER:
            return campaign(self._spec, lock, self._wait_policy, wait, self._console)
        return self._spec.acquire(lock, wait)

    def _once(self, lock: Lockable) -> bool:
        """Try once.  As long as Consul fails it is unknown whether the lock is held, so the try is
        repeated, for --retry-for.  Not if nothing has ever answered at the address: then it is most
        likely wrong.  A leader has had its time for that."""
        from random import SystemRandom

        from consul_lock import Unavailable

        end = self._started + self._wait_policy.retry_for
        while True:
            try:
                return self._acquire(lock, 0)
            except Unavailable as error:
                self._tried_once = error.status is None and not self._reached()
                left = end - time.monotonic()
                if self._tried_once or left <= 0 or self._spec.mode is LockKind.LEADER:
                    raise
                pause = error.retry_after or SystemRandom().uniform(*_AGAIN)
            time.sleep(min(left, pause))

    def _at_once(self, lock: Lockable, report: WaitReport) -> bool:
        """Try once, and report who holds it if it cannot be acquired."""
        from consul_lock import Unavailable

        try:
            if self._spec.acquire(lock, 0):
                return True
            report.held(who_holds(lock))
        except Unavailable as error:
            # One failed try means nothing yet: the next acquire retries errors.
            report.failed(error)
        return False

    def _reporting(self, poll: BackgroundPoll, lock: Lockable, wait: float | None) -> bool:
        with poll:
            return self._once(lock) if wait == 0 else self._acquire(lock, wait)

    def busy(self, lock: Lockable) -> int:
        """Report the holder, and that nothing was started.  Returns the exit code."""
        from consul_lock import ConsulLockError

        code = self._wait_policy.conflict_code
        holders: list[Holder] | None
        try:
            holders = who_holds(lock)
            who = held_by(holders, tree=self._spec.tree)
        except ConsulLockError:
            holders, who = None, "held by somebody"
        if code or not self._console.quiet:  # with -E 0 it is a success, which -q keeps silent
            self._console.error(
                f"{self._spec.one_of_it} is {who}: not started ({code})",
                self._way_out() if holders or self._spec.tree else _IN_LOCK_DELAY,
                event="skipped",
                code=code,
            )
        self._status_file.refused(ExitCode.HELD, code)
        return code

    def _way_out(self) -> str:
        keys = self._spec.keys
        key = shlex.quote(shown(keys[0])) if len(keys) == 1 else "KEY"
        frees = show_duration(self._spec.frees_after)
        waits = "a longer -w" if self._wait_policy.wait else "-w 10m"
        return (
            f"{waits} waits; 'consul-lock holders {key}' shows more; if that host is dead, it frees"
            f" itself in about {frees}"
        )

    def conflict(self, client: Client, error: Conflict) -> int:
        """Say what is at the key instead, and who holds it.  Returns the exit code; raises the
        error itself if there is nothing more to be said."""
        from consul_lock import ConsulLockError, Survey

        if error.kind != "other-kind":
            raise error
        name = (error.key or "").removesuffix("/.lock")
        try:
            status = Survey(client).status(name)
        except ConsulLockError:
            raise error from None
        fault = misfit(self._spec, status)
        if status.kind == "foreign" or not fault:  # it has changed meanwhile
            raise error
        code = ExitCode.DATA
        self._console.error(f"{fault}: not started ({code:d})", way_in(status), code=code)
        self._console.trace(error)
        self._status_file.refused(code, code)
        return code

    def unavailable(self, error: Unavailable, job: str = "") -> int:
        """Report that Consul is out of reach and nothing was started, that is not this cron
        ``job``.  Returns the exit code."""
        code = self._wait_policy.unavailable_code
        hint = never_answered(error) if self._tried_once else failure(error).hint
        what = f"job {job} not started" if job else "not started"
        self._console.error(f"{self._tried(error)}: {what} ({code})", hint, code=code)
        self._console.trace(error)
        self._status_file.refused(ExitCode.UNAVAILABLE, code)
        return code

    def unlocked(self, error: Unavailable) -> None:
        """Warn that the command runs all the same."""
        self._console.warn(f"{self._tried(error)}: running WITHOUT the lock")

    def _tried(self, error: Unavailable) -> str:
        tried = "once" if self._tried_once else f"for {show_duration(self.waited)}"
        return f"{complaint(error)} (tried {tried})"
