"""The terminal: lent to the command while it runs, as a shell does with its jobs."""

from __future__ import annotations

import contextlib
import os
import termios
from typing import Any


class Terminal:
    """The terminal at stdin, if there is one and we are in its foreground.

    The command has a process group of its own, and only the foreground group may read the
    terminal and gets its Ctrl-C.
    """

    def __init__(self) -> None:
        self.lent = False
        self._modes: Any = None

    def lend(self, pgid: int) -> None:
        """Put a group into the foreground, if we are there ourselves."""
        with contextlib.suppress(OSError):
            if os.tcgetpgrp(0) != os.getpgrp():
                return
            if self._modes is None:
                self._modes = termios.tcgetattr(0)
            os.tcsetpgrp(0, pgid)
            self.lent = True

    def take_back(self) -> None:
        """Back to the foreground ourselves.  SIGTTOU must be blocked, or it would stop us."""
        if self.lent:
            self.lent = False
            with contextlib.suppress(OSError):
                os.tcsetpgrp(0, os.getpgrp())

    def mend(self) -> None:
        """Restore the modes that a killed command has left behind."""
        if self._modes is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._modes)
