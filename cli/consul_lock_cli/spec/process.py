"""How a command is run and stopped, as the user wants it."""

from __future__ import annotations

import enum
import signal
from typing import NamedTuple

from consul_lock_cli.base.durations import show_duration


class OnLost(NamedTuple):
    """What becomes of a command whose lock is lost."""

    stops: bool
    """It is stopped, and the exit code shows the loss; else it goes on and has its own."""
    signum: int | None = None
    """The signal that it is sent, once, if it goes on; None: none."""


class Daemons(enum.StrEnum):
    """What becomes of a process that has made a session of its own."""

    WARN = "warn"
    """It goes on after a command that has ended by itself, with a warning."""
    KEEP = "keep"
    """It goes on, also after a loss and a stop, without a warning."""
    STOP = "stop"
    """It is stopped like everything else."""


STOP = OnLost(stops=True)
WARN = OnLost(stops=False)


class ProcessPolicy(NamedTuple):
    """How a command is run and stopped.  Times are seconds."""

    stdin_null: bool = False
    """It reads nothing, instead of the stdin of consul-lock."""
    foreground: bool = False
    """It stays in this process group; the first signal is for itself alone."""
    stop_signal: int = signal.SIGTERM
    """The first signal when the lock is lost, the time is over, or consul-lock is killed."""
    kill_after: float = 5.0
    """SIGKILL comes so long after the first signal."""
    max_runtime: float | None = None
    """It is stopped after that; None: never."""
    on_lost: OnLost = STOP
    keep_leftovers: bool = False
    """Processes that it leaves in its group when it ends are not stopped."""
    daemons: Daemons = Daemons.WARN
    guardian: bool = True
    """A guardian stops it, and all that it has started, if consul-lock is killed."""
    unsafe_timing: bool = False
    """It may still run when others have the lock."""

    def needed(self, left: float) -> float:
        """How many seconds before the deadline the first signal is due.

        ``left`` is the time until the deadline when the command starts.
        """
        if self.on_lost == WARN:
            return 0.0
        # With unsafe times it might be due before there could be any renewal.
        return min(self.kill_after, left / 2) if self.unsafe_timing else self.kill_after

    def stopping(self, pid: int, grace: float) -> str:
        """Say what has just been done to the command, for a line that says why."""
        where = f"process {pid}" if self.foreground else f"group {pid}"
        if not grace:
            return f"sent KILL to {where}"
        return f"sent {show_signal(self.stop_signal)} to {where}; KILL in {show_duration(grace)}"

    def after_loss(self, pid: int, grace: float) -> str:
        """Say what a loss has just led to."""
        if self.on_lost.stops:
            return self.stopping(pid, grace)
        if self.on_lost.signum is None:
            return "the command goes on"
        return f"sent {show_signal(self.on_lost.signum)}, and the command goes on"


def show_signal(signum: int) -> str:
    """The other way round: `TERM`, or the number if it has no name."""
    try:
        return signal.Signals(signum).name.removeprefix("SIG")
    except ValueError:
        return f"signal {signum}"
