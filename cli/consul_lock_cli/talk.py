"""What we say ourselves.  It goes to stderr; stdout belongs to the command, or to the data."""

from __future__ import annotations

import contextlib
import sys
import traceback

import click


class Talk:
    """Our voice: errors always, hints and warnings unless quiet, the rest if asked for."""

    def __init__(self) -> None:
        self.verbosity = 0
        """0: silent on success.  1: the story.  2: and the traceback of an error."""
        self.quiet = False

    def error(self, text: str, hint: str = "") -> None:
        """Say what failed; ``hint`` is what to do about it."""
        self._say(f"consul-lock: {text}")
        if hint and not self.quiet:
            self._say(f"hint: {hint}")

    def warn(self, text: str) -> None:
        """Say what will not stop us."""
        if not self.quiet:
            self._say(f"consul-lock: warning: {text}")

    def tell(self, text: str) -> None:
        """Say what everybody should know."""
        if not self.quiet:
            self._say(f"consul-lock: {text}")

    def note(self, text: str) -> None:
        """Tell the story, to those who asked for it."""
        if self.verbosity and not self.quiet:
            self._say(f"consul-lock: {text}")

    def trace(self, error: BaseException) -> None:
        """Show where an error comes from, with -vv."""
        if self.verbosity > 1:
            self._say("".join(traceback.format_exception(error)).rstrip())

    def listen(self) -> None:
        """Say the library's warnings and log in our own words' form, not in Python's."""
        import logging
        import warnings

        class Log(logging.Handler):
            def emit(_, record: logging.LogRecord) -> None:  # noqa: N805 - `self` is the Talk
                tell = self.warn if record.levelno >= logging.WARNING else self.note
                tell(record.getMessage())

        logging.getLogger("consul_lock").addHandler(Log())
        warnings.showwarning = lambda message, *_, **__: self.warn(str(message))

    def _say(self, text: str) -> None:
        # stderr may be closed, or a pipe that nobody reads: no reason to fail.
        with contextlib.suppress(OSError, ValueError):
            if sys.stderr is not None:
                sys.stderr.write(text + "\n")
                sys.stderr.flush()


class Misuse(click.UsageError):
    """The command line is wrong, and we know what was probably meant."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
