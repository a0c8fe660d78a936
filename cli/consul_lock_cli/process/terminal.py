"""The terminal: lent to the command while it runs, as a shell does with its jobs."""

from __future__ import annotations

import contextlib
import os
import termios
from typing import Any


class Terminal:
    """The controlling terminal, if there is one and this process is in its foreground.

    The command has a process group of its own, and only the foreground group may read the
    terminal and gets its Ctrl-C.  It is lent at once if stdin and stdout are terminals.  If
    not, this may be a part of a pipeline, another part of which reads the terminal, as in
    ``consul-lock run ... | less``; then it is lent when the command asks for it.
    """

    def __init__(self) -> None:
        self.lent = False
        self._asked = os.isatty(0) and os.isatty(1)
        self._modes: Any = None
        try:
            self._terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        except OSError:
            self._terminal = 0

    def lend(self, pgid: int, asked: bool = False) -> bool:
        """Put a group into the foreground, if this process is there; whether that was done.

        ``asked``: the command wants it, now and from now on.
        """
        self._asked = self._asked or asked
        with contextlib.suppress(OSError, termios.error):
            if not self._asked or os.tcgetpgrp(self._terminal) != os.getpgrp():
                return False
            if self._modes is None:
                self._modes = termios.tcgetattr(self._terminal)
            os.tcsetpgrp(self._terminal, pgid)
            self.lent = True
            return True
        return False

    def take_back(self) -> None:
        """Return to the foreground.  SIGTTOU must be blocked, or it would stop this process."""
        if self.lent:
            self.lent = False
            with contextlib.suppress(OSError):
                os.tcsetpgrp(self._terminal, os.getpgrp())

    def mend(self) -> None:
        """Restore the modes that a killed command has left behind."""
        if self._modes is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._modes)
