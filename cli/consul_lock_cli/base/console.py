"""Messages of consul-lock itself.  They go to stderr; stdout belongs to the command, or to the
data."""

from __future__ import annotations

import contextlib
import select
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from consul_lock_cli.base.clock import rfc3339
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import harmless

# Characters: in any encoding they fit into the room that a pipe has if it has any.
_PART = 1000
# Seconds that a reader gets to make room: less than the least margin before a lock's deadline.
_READER = 0.1


class Console:
    """Prints messages: errors always, hints and warnings unless quiet, the rest if asked for.

    What is said is an event, too: with ``--log-format json`` each is one JSON object, with the
    ``event`` and whatever else is known of it by name.
    """

    def __init__(self) -> None:
        self.verbosity = 0
        """0: silent on success.  1: the story.  2: and the traceback of an error."""
        self.quiet = False
        self.json = False
        self.about: dict[str, Any] = {}
        """What every event is about, such as the key."""
        self.takers: dict[str, Callable[[str], None]] = {}
        """By its event, what is called with a warning of the library, in place of printing it."""
        self.hurried = False
        """Something is held that must not wait for a reader of stderr: text that is not read at
        once is not said."""

    def error(self, text: str, hint: str = "", *, event: str = "error", **more: Any) -> None:
        """Say what failed; ``hint`` is what to do about it."""
        hint = "" if self.quiet else hint
        if self.json:
            self._log("error", event, text, {**({"hint": hint} if hint else {}), **more})
            return
        self._say(f"consul-lock: {text}")
        if hint:
            self._say(f"hint: {hint}")

    def warn(self, text: str, *, event: str = "warning", **more: Any) -> None:
        """Print a problem that does not end the command."""
        if self.quiet:
            return
        if self.json:
            self._log("warning", event, text, more)
        else:
            self._say(f"consul-lock: warning: {text}")

    def note(self, text: str, *, event: str = "note", **more: Any) -> None:
        """Say what everybody should know."""
        if self.quiet:
            return
        if self.json:
            self._log("info", event, text, more)
        else:
            self._say(f"consul-lock: {text}")

    def debug(self, text: str, *, event: str = "note", **more: Any) -> None:
        """Report progress, if asked to."""
        if self.verbosity:
            self.note(text, event=event, **more)

    def trace(self, error: BaseException) -> None:
        """Show where an error comes from, with -vv."""
        if self.verbosity < 2:
            return
        import traceback

        text = "".join(traceback.format_exception(error)).rstrip()
        if self.json:
            self._log("debug", "traceback", text, {})
        else:
            self._say(text)

    def listen(self) -> None:
        """Print the library's warnings and log like other messages, not in Python's format."""
        import logging
        import warnings

        class Log(logging.Handler):
            def emit(_, record: logging.LogRecord) -> None:  # noqa: N805 - `self` is the Console
                if hasattr(record, "consul_lock_event") and not hasattr(record, "event"):
                    return  # of a lock, such as its loss: the command says that in its own words
                if record.levelno < logging.WARNING:
                    self.debug(record.getMessage())
                    return
                event = getattr(record, "event", "warning")
                if (taker := self.takers.get(event)) is not None:
                    taker(record.getMessage())
                else:
                    self.warn(record.getMessage(), event=event)

        logging.getLogger("consul_lock").addHandler(Log())
        warnings.showwarning = lambda message, *_, **__: self.warn(str(message))

    @contextlib.contextmanager
    def taking(self, event: str, taker: Callable[[str], None]) -> Iterator[None]:
        """Let this have the library's warnings of such an event meanwhile."""
        self.takers[event] = taker
        try:
            yield
        finally:
            del self.takers[event]

    def _log(self, level: str, event: str, text: str, more: dict[str, Any]) -> None:
        import json

        line = {
            "ts": rfc3339(time.time()),
            "level": level,
            "event": event,
            **self.about,
            "message": text,
            **more,
        }
        self._say(json.dumps(line))

    def _say(self, text: str) -> None:
        # stderr may be closed, or a pipe that nobody reads: no reason to fail.
        with contextlib.suppress(OSError, ValueError):
            if not text.isprintable():
                # Whatever it quotes: a terminal must obey nothing of it.
                text = "\n".join(map(harmless, text.split("\n")))
            text += "\n"
            for start in range(0, len(text) if sys.stderr is not None else 0, _PART):
                if self.hurried and not _taken(sys.stderr.fileno()):
                    return
                sys.stderr.write(text[start : start + _PART])
                sys.stderr.flush()


def _taken(descriptor: int) -> bool:
    """Whether a part can be written now, without waiting for a reader."""
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    return bool(room.poll(1000 * _READER))


def require_terminal(hint: str) -> None:
    """Raise `Misuse` if stdin is not a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise Misuse("refusing to continue without confirmation (stdin is not a terminal)", hint)


def confirmed(what: str) -> bool:
    """Whether the answer is yes."""
    click.echo(f"{what}? [y/N]: ", err=True, nl=False)
    # Not click.confirm: it takes the end of what is typed for a Ctrl-C.
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        click.echo(err=True)
    return answer.strip().lower() in ("y", "yes")
