"""The installed command on a terminal of its own, whose window changes, and that is typed at."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from tests.cli.command import COMMAND, PATIENCE

CLEAR = "\x1b[H\x1b[2J"
"""What each table that is drawn begins with."""


class Terminal:
    """A process with stdin, stdout and stderr on a terminal; it is killed with the block."""

    def __init__(
        self, arguments: list[str], env: Mapping[str, str], columns: int = 120, lines: int = 24
    ) -> None:
        self._screen, device = pty.openpty()
        self.resize(columns, lines)
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=env,
            stdin=device,
            stdout=device,
            stderr=device,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads
        )
        os.close(device)
        self.seen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._screen)

    def resize(self, columns: int, lines: int) -> None:
        """Give the window that size; the process there gets SIGWINCH."""
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._screen, text.encode())

    def drawn(self) -> list[str]:
        """The tables that were drawn up to now."""
        return self.seen.replace("\r\n", "\n").split(CLEAR)[1:]

    def until(self, condition: Callable[[str], bool]) -> str:
        """The table that is shown, once it is so."""
        end = time.monotonic() + PATIENCE
        while not (self.drawn() and condition(self.drawn()[-1])):
            assert time.monotonic() < end, self.seen
            readable, _, _ = select.select([self._screen], [], [], PATIENCE)
            assert readable, self.seen
            self.seen += os.read(self._screen, 65536).decode()
        return self.drawn()[-1]

    def wait(self) -> int:
        """Its exit code, or minus the signal that killed it."""
        return self._process.wait(PATIENCE)
