"""The way a command is stopped: a first signal, some time, and SIGKILL to the rest."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable

from consul_lock_cli.base.clock import now
from consul_lock_cli.process.group import Target
from consul_lock_cli.process.guardian import Guardian

# Seconds until SIGKILL comes again: a member may have forked at the moment of the first.
_AGAIN = 0.05


class Termination:
    """The end of one command, once it has begun.

    The guardian, if there is one, learns when SIGKILL is due; ``on_kill`` is called once.
    """

    def __init__(
        self, command: Target, guardian: Guardian | None, on_kill: Callable[[], None]
    ) -> None:
        self.begun = False
        self.kill_at = math.inf
        """When SIGKILL is due, by the clock of `consul_lock_cli.base.clock`."""
        self._command = command
        self._guardian = guardian
        self._on_kill = on_kill
        self._killed = False

    def begin(self, grace: float, signum: int) -> None:
        """First signal now, SIGKILL after ``grace`` seconds, or earlier if that was planned.

        With no grace it is SIGKILL now: somebody else may have the lock.
        """
        self.hurry(grace)
        self.begun = True
        if grace > 0:
            self._command.signal(signum)
            # A stopped process must run to see the signal.
            self._command.signal(signal.SIGCONT)
        else:
            self.look()

    def hurry(self, grace: float = 0.0) -> None:
        """SIGKILL after ``grace`` seconds at the latest."""
        self.kill_at = min(self.kill_at, now() + grace)
        if self._guardian is not None:
            self._guardian.expect(self.kill_at)

    def look(self) -> None:
        """Send SIGKILL, if it is due."""
        if now() < self.kill_at:
            return
        self._command.signal(signal.SIGKILL)
        self.kill_at = now() + _AGAIN
        if not self._killed:
            self._killed = True
            self._on_kill()
