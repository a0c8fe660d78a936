"""A command that runs under a lock: the common part of `run`, `leader` and `cron run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.error_table import failure
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.interrupt import Interrupted, OutOfTime, T, interruptible
from consul_lock_cli.process.signals import Signals, asked_to_end, take_over
from consul_lock_cli.process.supervisor import Deadline, Supervisor
from consul_lock_cli.run.loss import LossReport
from consul_lock_cli.run.progress import Progress
from consul_lock_cli.run.result import RunResult, pass_on
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.spec.process import ProcessPolicy

if TYPE_CHECKING:
    from consul_lock import Client

GOODBYE = 1.0
"""Seconds for last requests to a Consul that may be down: the session also ends by itself."""

LEAVING = 6.0
"""Seconds to release in order once a signal has asked consul-lock to end, whenever it came.  One
that was passed on to a command that had just ended is not sent again, and service managers kill
what has not ended some seconds later."""


class Execution:
    """One command and its end.  ``title`` names the lock in messages."""

    def __init__(
        self,
        title: str,
        program: str,
        policy: ProcessPolicy,
        console: Console,
        signals: Signals,
        status_file: StatusFile,
    ) -> None:
        self._title = title
        self._program = program
        self._policy = policy
        self._console = console
        self._signals = signals
        self._status_file = status_file
        self.asked = False
        """A signal came for consul-lock when the command had ended already."""

    def interruptibly(
        self, act: Callable[[], T], budget: float | None = None, *, finish: bool = False
    ) -> T:
        """Whatever else a signal cuts off, the status file is written."""
        return interruptible(
            self._signals,
            act,
            budget,
            lambda s: self._status_file.write_interrupted(s, self._console),
            finish=finish,
        )

    def finish(self, act: Callable[[], object], budget: float) -> bool:
        """Release something.  Returns whether that was completed: a signal leaves it time, as
        others would have to wait for an incomplete release, and is remembered.
        """
        ended = False

        def to_its_end() -> None:
            nonlocal ended
            act()
            ended = True

        try:
            self.interruptibly(to_its_end, budget, finish=True)
        except Interrupted:
            self.asked = True
        return ended

    def asked_to_end(self) -> int | None:
        """A signal that came while nothing waited for one, and the command does not run yet."""
        return asked_to_end(self._signals)

    def lost_before(self, loss: LossReport) -> RunResult:
        """The process was stopped for too long: others may have the lock, so nothing is started."""
        why, about, hint = loss.cause()
        self._console.error(
            f"LOST {self._title} before the command was started: {why} ({ExitCode.LOST:d})",
            hint,
            event="lost",
            **about,
        )
        self._status_file.know(lost=True)
        self._status_file.refused(ExitCode.LOST, ExitCode.LOST)
        return RunResult(ExitCode.LOST)

    def run(
        self,
        child: Child,
        deadline: Deadline,
        environment: Mapping[str, str | None],
        loss: LossReport | None = None,
    ) -> RunResult:
        """Start the command, and return when nothing of it is left."""
        progress = Progress(
            self._console, self._title, self._program, child.pid, self._policy, loss
        )
        supervisor = Supervisor(
            child, deadline, self._signals, policy=self._policy, observer=progress
        )
        ended = supervisor.run(dict(environment))
        progress.exited(ended.code)
        self._status_file.ended(ended)
        return RunResult(None, ended)

    def close(self, client: Client) -> None:
        """The work is done; errors are reported, and ignored."""
        try:
            self.interruptibly(client.close, budget=GOODBYE)
        except (Interrupted, OutOfTime) as error:
            self.asked = self.asked or isinstance(error, Interrupted)
        except Exception as error:  # noqa: BLE001 - all is done; the session also ends by itself
            self._console.debug(f"while closing: {error}")


class Undertaking(Protocol):
    """Acquires, runs the command under the lock, and releases."""

    @property
    def asked(self) -> bool:
        """A signal came for consul-lock when the command had ended already."""

    def around(self, child: Child | None) -> RunResult:
        """How it went.  Raises what fails."""


def undertake(
    command: Sequence[str],
    policy: ProcessPolicy,
    console: Console,
    status_file: StatusFile,
    make: Callable[[Signals], Undertaking],
    *,
    output: int | None = None,
    release: Callable[[Sequence[str]], None] | None = None,
) -> RunResult:
    """How it went; if it raises, the status file has been written.

    ``output`` is a file descriptor for what the command prints; None: as consul-lock prints.
    ``release`` is for the guardian: what to do about sessions when consul-lock was killed.
    """
    signals = take_over()
    child = None
    try:
        # Before the library is imported, as it starts threads.  Without a command there is nothing
        # to start, but its guardian leaves the queue if consul-lock is killed while it waits.
        child = (
            Child(command, signals, policy=policy, output=output, release=release)
            if command or policy.guardian
            else None
        )
        undertaking = make(signals)
        done = undertaking.around(child)
        asked = done.ended is not None and done.ended.asked
        return done._replace(asked=undertaking.asked or asked)
    except Interrupted as stop:
        status_file.write_interrupted(stop.signum, console)
        raise
    except click.UsageError:
        status_file.write(ExitCode.USAGE, console)
        raise
    except BaseException as error:
        status_file.write(failure(error).code, console)
        raise
    finally:
        if child is not None:
            child.abandon()


def conclude(
    done: RunResult, command: Sequence[str], console: Console, status_file: StatusFile
) -> int:
    """Write the status file, and pass on how it ended."""
    ended = done.ended
    if done.code is not None or ended is None:
        code = done.code or 0
    else:
        if ended.code < 0 and ended.stopped is None:
            # The process is about to die of the same signal.
            status_file.write(128 - ended.code, console)
        code = pass_on(ended, command[0], console)
    status_file.write(code, console)
    return code
