"""What a waiting `run` lets people see: a line that is kept up to date, or a line for each change.

On a terminal it is plain text and two control codes that every terminal has had since the
VT100: back to the beginning, and erase to the end.  click shows progress only towards a known
end, and libraries that draw more cost each start more time than the whole command has.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.text import cut, width

APPEARS = 1.0
"""Seconds until it appears: it is not to flicker where there is hardly a wait."""

EVERY = 2.0
"""Seconds between two looks, for which Consul is asked.  People do not read faster."""

_ERASE = "\r\x1b[K"


class BackgroundPoll:
    """``with BackgroundPoll(look, first, every):`` calls ``look()`` again and again until the end.

    It does so in a thread, after ``first`` seconds and then every ``every`` seconds.

    It may ask Consul, and may fail, which is passed over.  What it returns is called, if it
    comes in time.  ``close()`` is called after the last one.
    """

    def __init__(
        self,
        look: Callable[[], Callable[[], None]],
        first: float,
        every: float,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._look = look
        self._first = first
        self._every = every
        self._close = close
        self._over = threading.Event()
        self._showing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="consul-lock-live", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        # It is not joined, as it may be asking Consul just now; but it shows nothing any more.
        with self._showing:
            self._over.set()

    def _run(self) -> None:
        pause = self._first
        while not self._over.wait(pause):
            pause = self._every
            # Whatever goes wrong is reported by the waiting itself.
            with contextlib.suppress(Exception):
                show = self._look()
                with self._showing:
                    if not self._over.is_set():
                        show()
        with contextlib.suppress(Exception):
            self._close()


class LiveLine:
    """One line of the terminal, shown and then gone again."""

    def __init__(self) -> None:
        self._drawn = False

    def show(self, *texts: str) -> None:
        """Put the first text that fits, or what fits of the last one, in the place of the old."""
        terminal = _terminal()
        # In the background, somebody else's output would be torn by it.
        if terminal is None or os.tcgetpgrp(terminal) != os.getpgrp():
            return
        # In the last column some terminals wrap already.
        room = (os.get_terminal_size(terminal).columns or 80) - 1
        fits = next((text for text in texts if width(text) <= room), texts[-1])
        self._write(_ERASE + cut(fits, room))
        self._drawn = True

    def erase(self) -> None:
        """Leave no trace."""
        if self._drawn:
            self._write(_ERASE)

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def somebody_looks(console: Console) -> bool:
    """Whether there is a person to see such a line."""
    if console.quiet or console.json or os.environ.get("TERM", "dumb") == "dumb":
        return False
    return sys.stderr is not None and _terminal() is not None


def _terminal() -> int | None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stderr.fileno()
        if os.isatty(descriptor):
            return descriptor
    return None
