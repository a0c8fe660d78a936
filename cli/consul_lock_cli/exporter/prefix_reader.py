"""Follows one prefix for as long as the exporter runs, whether Consul answers or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from consul_lock_cli.base.clock import now
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.exporter.figures import Figures, figures_of

if TYPE_CHECKING:
    from consul_lock import Overview
    from consul_lock_cli.base.console import Console

# Seconds of the pause after a read that failed: doubled after each, up to the longest one.
_PAUSE_MIN, _PAUSE_MAX = 1.0, 10.0


class Reading(NamedTuple):
    """What is known of a prefix."""

    up: bool = False
    """Whether the last read succeeded."""
    figures: Figures | None = None
    """Of the last one that did; None: none has so far."""
    read_at: float = 0.0
    """When that was, by `now`."""
    reads: int = 0
    errors: int = 0


class PrefixReader:
    """Its `reading` is replaced as a whole, so that another thread may take it at any time."""

    def __init__(
        self,
        prefix: str,
        follow: Callable[[], Iterator[Overview]],
        console: Console,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.prefix = prefix
        self.reading = Reading()
        self._follow = follow
        """Begins to follow the prefix; each overview is a read, and what it raises is one, too."""
        self._console = console
        self._pause = pause
        self._failures = 0
        """In a row."""

    def run(self) -> None:
        """Read until `pause` raises, which that of a thread never does."""
        while True:
            try:
                for found in self._follow():
                    self._saw(found)
            except Exception as error:  # noqa: BLE001 - whatever it is, `up` says so
                self._failed(error)
            # Also after an end without an error: no server can make a loop of it.
            self._pause(min(_PAUSE_MAX, _PAUSE_MIN * 2.0 ** max(0, self._failures - 1)))

    def _saw(self, found: Overview) -> None:
        before = self.reading
        self.reading = Reading(True, figures_of(found), now(), before.reads + 1, before.errors)
        if self._failures:
            self._failures = 0
            self._console.note(f"{self._what} can be read again", event="reading")

    def _failed(self, error: Exception) -> None:
        self.reading = self.reading._replace(up=False, errors=self.reading.errors + 1)
        self._failures += 1
        if self._failures > 1:
            return  # it was said
        bug = failure(error).code is ExitCode.SOFTWARE
        why = f"{type(error).__name__}: {complaint(error)}" if bug else complaint(error)
        self._console.warn(f"cannot read {self._what}, and tries on: {why}", event="unavailable")
        self._console.trace(error)

    @property
    def _what(self) -> str:
        return f'what is below "{shown(self.prefix, 512)}"' if self.prefix else "the keys"
