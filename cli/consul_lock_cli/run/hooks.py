"""Run what the user wants to be run when something has happened: a ping, a mail, a metric.

Each is a shell command in a process group of its own, and for some seconds at most.  All but
--on-acquire are run when COMMAND has ended and the lock is released, so none of them keeps others
waiting; --on-acquire is run under the lock, before COMMAND starts, and is killed if the lock is
lost, and by the guardian if consul-lock is killed, or stopped until the lock counts no more.  What
they print goes to stderr, as stdout belongs to COMMAND, and how they end changes nothing.

It is posix_spawn, as the process has threads by now, and all signals blocked: a fork would run
Python code in a copy without those threads, and `subprocess` hands on what is blocked.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

from consul_lock_cli.base.clock import now
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.process.child import no_guardian
from consul_lock_cli.process.interrupt import Interrupted
from consul_lock_cli.process.supervisor import Deadline
from consul_lock_cli.run.execution import Execution
from consul_lock_cli.spec.hooks import Hooks
from consul_lock_cli.spec.process import show_signal

_SHELL = "/bin/sh"

# Seconds between two looks whether it has ended: first, and at most.
_SOON, _LATER = 0.002, 0.05

# Seconds for the end of what was killed: to wait for it, and to be interrupted.
_DYING, _MARGIN = 3.0, 5.0


class HookRunner:
    """Those of one run."""

    def __init__(self, hooks: Hooks, act: Execution, console: Console) -> None:
        self._hooks = hooks
        self._act = act
        self._console = console
        self._known: dict[str, str | None] = {}

    def know(self, changes: Mapping[str, str | None]) -> None:
        """The environment of those to come; None removes a variable."""
        self._known.update(changes)

    def before(
        self,
        event: str,
        changes: Mapping[str, str | None],
        deadline: Deadline,
        tell: Callable[[int, float], None] = no_guardian,
    ) -> int | None:
        """Run one under the lock, with this environment, too, for as long as the lock is held;
        ``tell`` is called with its pid and the moment at which it must be dead, again and again.
        The signal that has ended it and is to end consul-lock, if one has."""
        if getattr(self._hooks, event) is None:
            return None
        try:
            self._act.interruptibly(lambda: self._run(event, changes, deadline, tell))
        except Interrupted as stop:
            return stop.signum
        return None

    def after(self, event: str) -> None:
        """Run one when nothing is held any more; a signal leaves it a second."""
        if getattr(self._hooks, event) is not None:
            self._act.finish(lambda: self._run(event), self._hooks.timeout + _MARGIN)

    def finished(self, code: int, runtime: float | None = None) -> None:
        """Run the one for this end: ``code`` is the exit code of consul-lock."""
        self.know(
            {
                "CONSUL_LOCK_EXIT_CODE": str(int(code)),
                "CONSUL_LOCK_RUNTIME": None if runtime is None else f"{runtime:.3f}",
            }
        )
        self.after("failure" if code else "success")

    def _run(
        self,
        event: str,
        changes: Mapping[str, str | None] = MappingProxyType({}),
        deadline: Deadline | None = None,
        tell: Callable[[int, float], None] = no_guardian,
    ) -> None:
        option = f"--on-{event.replace('_', '-')}"
        environment = {
            **os.environ,
            **self._known,
            **changes,
            "CONSUL_LOCK_HOOK": event.replace("_", "-"),
        }
        try:
            in_time, status = self._ended(
                option,
                ["/bin/sh", "-c", "--", getattr(self._hooks, event)],
                {name: text for name, text in environment.items() if text is not None},
                deadline,
                tell,
            )
        except OSError as error:
            self._console.warn(f"{option} could not be run: {error.strerror}", event="hook")
            return
        if status is None:
            return
        if not in_time:
            lost = deadline is not None and _lost(deadline)
            why = (
                ", as the lock is lost" if lost else f" after {show_duration(self._hooks.timeout)}"
            )
            self._console.warn(f"{option} was killed{why}", event="hook")
        elif (code := os.waitstatus_to_exitcode(status)) != 0:
            how = f"ended with {code}" if code > 0 else f"died of {show_signal(-code)}"
            self._console.warn(f"{option} {how}", event="hook", code=code)

    def _ended(
        self,
        option: str,
        command: list[str],
        environment: Mapping[str, str],
        deadline: Deadline | None,
        tell: Callable[[int, float], None],
    ) -> tuple[bool, int | None]:
        """Whether it has ended in time, and before the lock was lost; and its status.  None: it
        goes on all the same, which has been said."""
        end = time.monotonic() + self._hooks.timeout

        def held() -> bool:
            if deadline is None:
                return True
            tell(pid, now() + deadline.remaining())
            return not _lost(deadline)

        # An interruption between the start of the process and the block that ends it would leave it
        # behind.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = self._spawn(command, environment)
            try:
                held()
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                ended = _wait(pid, end, held)
            finally:
                # Nothing is raised here: an interruption may be on its way.
                status, refusal = _end(pid)
                if status is None:
                    why = f"pid {pid}{refusal}; it goes on"
                    self._console.warn(f"{option} cannot be stopped: {why}", event="hook")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return ended, status

    @staticmethod
    def _spawn(command: list[str], environment: Mapping[str, str]) -> int:
        return os.posix_spawn(
            _SHELL,
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, 2, 1),
            ],
            setpgroup=0,
            setsigmask=(),
            # Python ignores them itself; what was ignored at the start stays so.
            setsigdef={signal.SIGPIPE, signal.SIGXFSZ},
        )


def _lost(deadline: Deadline) -> bool:
    """Whether another process may have the lock soon."""
    return deadline.lost() or not deadline.remaining()


def _end(pid: int) -> tuple[int | None, str]:
    """Kill what is left of it.  Its status; None: SIGKILL does not end it, or is refused."""
    # Its number is its own until it is reaped.  What it has left behind goes with it.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    patience, refusal = _DYING, ""
    try:
        # It may have left its group.
        os.kill(pid, signal.SIGKILL)
    except PermissionError:
        patience, refusal = 0.0, ", not permitted"  # as with sudo
    ended = _wait(pid, time.monotonic() + patience)
    return (os.waitpid(pid, 0)[1] if ended else None), refusal


def _wait(pid: int, end: float, held: Callable[[], bool] = lambda: True) -> bool:
    """Whether it has ended by then (`time.monotonic`), and while the lock was held."""
    pause = _SOON
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        left = end - time.monotonic()
        if left <= 0 or not held():
            return False
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LATER)
    return True
