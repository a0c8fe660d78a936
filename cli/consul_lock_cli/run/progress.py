"""The messages about a command that runs under a lock, while it does."""

from __future__ import annotations

from consul_lock_cli.base.clock import now
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.process.descendants import Process
from consul_lock_cli.process.supervisor import Observer
from consul_lock_cli.process.termination import Survivor
from consul_lock_cli.run.loss import LossReport
from consul_lock_cli.spec.process import ProcessPolicy, show_signal

# Of those that go on, so many are named.
_NAMED = 5
# Characters of a command line.
_WIDTH = 60


class Progress(Observer):
    """Of one run of one command, from now on.  ``title`` is what the lock is called."""

    def __init__(
        self,
        console: Console,
        title: str,
        program: str,
        pid: int,
        policy: ProcessPolicy,
        loss: LossReport | None = None,
    ) -> None:
        self._loss = loss
        self._console = console
        self._title = title
        self._program = program
        self._pid = pid
        self._policy = policy
        self._begun = now()
        if console.json:
            # Of no use to people, who see what it does.
            console.debug(f"starting {shown(program)}", event="started", pid=pid)

    def lost(self, grace: float) -> None:
        """The lock is lost, and SIGKILL comes in ``grace`` seconds, if at all."""
        assert self._loss is not None  # without a lock none can be lost
        # By now the command has its signal; when it has to be killed, this must have returned.
        why, about, hint = self._loss.cause(grace / 2)
        code = f" ({ExitCode.LOST:d})" if self._policy.on_lost.stops else ""
        self._console.error(
            f"LOST {self._title} after {show_duration(now() - self._begun)}: {why};"
            f" {self._policy.after_loss(self._pid, grace)}{code}",
            hint,
            event="lost",
            **about,
        )

    def overtime(self, grace: float) -> None:
        """It ran for too long, and is being stopped."""
        most = show_duration(self._policy.max_runtime or 0.0)
        self._console.error(
            f"{shown(self._program)} ran for {most}, which is its --max-runtime;"
            f" {self._policy.stopping(self._pid, grace)} ({ExitCode.OVERTIME:d})",
            event="stopping",
        )

    def killed(self) -> None:
        """It got SIGKILL."""
        self._console.debug(f"sent KILL to {self._pid}", event="killed")

    def unguarded(self) -> None:
        """The guardian was killed, and the kernel has signalled the command."""
        self._console.warn(
            f"the guardian of {shown(self._program)} was killed, so it is being stopped:"
            f" without it {shown(self._program)} could outlive consul-lock",
            event="stopping",
        )

    def survive(self, survivors: list[Survivor]) -> None:
        """These cannot be stopped, so the lock is not released."""
        for process, allowed in survivors[:_NAMED]:
            if process is None:
                who, why = "what the command has started", "it cannot be seen (see hidepid of proc)"
            elif allowed:
                who = f"pid {process.pid} ({_short(process)})"
                why = f"it does not die of KILL (state {process.state or '?'})"
            else:
                name = "" if process.hidden else f"{_short(process)}, "
                who = f"pid {process.pid} ({name}{process.user()})"
                why = "not permitted; run consul-lock itself with sudo"
            self._console.error(f"cannot stop {who}: {why}", event="unstoppable")

    def left(self, daemons: list[Process]) -> None:
        """Daemons go on, and the lock is released all the same."""
        named = [f"pid {each.pid} ({_short(each)})" for each in daemons[:_NAMED]]
        if len(daemons) > _NAMED:
            named.append(f"{len(daemons) - _NAMED} more")
        go = "it goes" if len(daemons) == 1 else "they go"
        self._console.warn(
            f"{shown(self._program)} has left {', '.join(named)} in a session of its own: {go} on"
            " without the lock (--daemons keep: without this warning; --daemons stop: stopped)",
            event="left",
            pids=[each.pid for each in daemons],
        )

    def exited(self, code: int) -> None:
        """It has ended, with this code or minus the signal that killed it."""
        after = now() - self._begun
        how = f"exited {code}" if code >= 0 else f"died of {show_signal(-code)}"
        self._console.debug(
            f"command {how} after {show_duration(after)}",
            event="exited",
            after_s=round(after, 3),
            code=code,
        )


def _short(process: Process) -> str:
    return shown(process.command_line(), _WIDTH)
