"""What `run` reports while it waits: who holds the lock, or why Consul cannot be asked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.error_table import complaint
from consul_lock_cli.output.holder_text import briefly, held_by, shortly
from consul_lock_cli.run.live_line import APPEARS, EVERY, BackgroundPoll, LiveLine
from consul_lock_cli.spec.lock import LockSpec, who_holds

if TYPE_CHECKING:
    from consul_lock import Client, Holder, Unavailable
    from consul_lock_cli.spec.lock import Lockable

LOG_EVERY = 300.0
"""Seconds before the first line where nobody looks, and between two: cron mails each of them."""

OUTAGE_EVERY = 30.0
"""Seconds between two looks, without a line, at an outage: whether it is still the same one."""


class WaitReport:
    """Of one wait.  ``connect`` makes a client of its own that does not retry: otherwise an error
    of Consul would show only when the time for retries is over."""

    def __init__(self, spec: LockSpec, connect: Callable[[], Client], console: Console) -> None:
        self._spec = spec
        self._connect = connect
        self._console = console
        self._client: Client | None = None
        self._lock: Lockable | None = None
        self._away: float | None = None
        """Since when Consul does not answer; None: it does, as far as is known."""
        self._why = ""
        """What failed then, and at which address."""
        self._told_away = False
        """The outage is in the log."""
        self._reported: tuple[object, float] | None = None

    def on_terminal(self, line: LiveLine) -> BackgroundPoll:
        """Show one line, with what holds now."""

        def look() -> Callable[[], None]:
            found = self._look()
            if found is None:
                text, why, seconds = self._outage(), self._why, self._seconds()
                short = f"retrying{seconds and f' {seconds}'}: {why}"
                return lambda: line.show(f"consul-lock: {text}", text, short)
            holders, waiters = found
            ahead, place = waiters_ahead(waiters), ""
            if ahead is not None:
                place = f"; {ahead} ahead in the queue" if ahead else "; next in the queue"
            text = (
                f"waiting for {self._spec.title}, {briefly(holders, tree=self._spec.tree)}{place}"
            )
            # The user who typed the command knows for which lock.
            short = f"waiting: {shortly(holders)}{'' if ahead is None else f' +{ahead}'}"
            return lambda: line.show(f"consul-lock: {text}", text, short)

        return BackgroundPoll(look, APPEARS, EVERY, self._close)

    def in_log(self) -> BackgroundPoll:
        """A line now and then; with -v also one for each change."""
        if self._console.verbosity:
            return BackgroundPoll(self._look_for_log, APPEARS, EVERY, self._close)
        begun = time.monotonic()

        def look() -> Callable[[], None]:
            last = begun if self._reported is None else self._reported[1]
            if time.monotonic() - last >= LOG_EVERY:
                return self._look_for_log()
            if self._away is not None and self._look() is not None:
                return self.over
            return lambda: None

        return BackgroundPoll(look, OUTAGE_EVERY, OUTAGE_EVERY, self._close)

    def trouble(self, text: str, before: float) -> None:
        """The wait has met errors of Consul for so many seconds, and goes on: the outage began
        then, and not with the next look."""
        if self._away is None:
            self._away = time.monotonic() - before
        if self._console.verbosity:
            self._log_outage(text)

    def failed(self, error: Unavailable) -> None:
        """An error of Consul before the first look."""
        self._begin_outage(error, time.monotonic())
        self._log_outage(self._outage())

    def over(self) -> None:
        """Consul answers; that is a line if the outage has been one."""
        if self._told_away:
            self._told_away = False
            self._console.note("Consul answers again", event="available")

    def _look_for_log(self) -> Callable[[], None]:
        found = self._look()
        if found is None:
            text = self._outage()
            return lambda: self._log_outage(text)
        holders, _ = found

        def report() -> None:
            self.over()
            self.held(holders)

        return report

    def _log_outage(self, text: str) -> None:
        """Once for each."""
        self._reported = "outage", time.monotonic()
        if not self._told_away:
            self._told_away = True
            self._console.note(text, event="unavailable")

    def held(self, holders: Sequence[Holder]) -> None:
        """These hold it: report that, unless it has just been reported."""
        sessions = tuple(holder.session for holder in holders)
        who = held_by(holders, tree=self._spec.tree)
        self._report(sessions, f"waiting for {self._spec.title}, {who}", "waiting")

    def _report(self, what: object, text: str, event: str) -> None:
        """Print it if it is news, or if the last line is so long ago."""
        now = time.monotonic()
        if self._reported is not None:
            before, when = self._reported
            if before == what and now - when < LOG_EVERY:
                return
        self._reported = what, now
        self._console.note(text, event=event)

    def _look(self) -> tuple[list[Holder], list[Holder]] | None:
        """Holders and waiters; None: Consul does not answer."""
        from consul_lock import Unavailable

        begun = time.monotonic()
        try:
            if self._lock is None:
                self._lock = self._spec.make(self._probe(), program="")
            waiters = self._lock.waiters()
            found = who_holds(self._lock), waiters
        except Unavailable as error:
            self._begin_outage(error, begun)
            return None
        if self._away is not None and self._away <= begun:
            self._away = None  # what began during this look may go on
        return found

    def _begin_outage(self, error: Unavailable, begun: float) -> None:
        """Or go on with it."""
        self._away = begun if self._away is None else self._away
        origin, self._why = self._probe().config.origin, complaint(error)
        if origin not in self._why:
            self._why = f"{self._why} ({origin})"

    def _probe(self) -> Client:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _outage(self) -> str:
        seconds = self._seconds()
        return f"{self._why}; trying again{seconds and f' ({seconds})'}"

    def _seconds(self) -> str:
        """For how long Consul has not answered; empty: for less than one."""
        seconds = 0 if self._away is None else int(time.monotonic() - self._away)
        return f"{seconds} s" if seconds else ""


def waiters_ahead(waiters: Sequence[Holder]) -> int | None:
    """How many wait before this process; None: it is in no queue."""
    own = (os.uname().nodename, os.getpid())
    for place, waiter in enumerate(waiters):
        if (waiter.host, waiter.pid) == own:
            return place
    return None
