"""What flows report of what happens: events for those who listen, and records for the log.

A flow has no queue, no thread and no log.  It hands a report to the reporter of its client, which
appends it to a queue, or writes a record, and returns at once.  Most clients have nobody who
listens, and a log that wants warnings alone: so a flow asks first (`Reporter.logs`), and a report
that nobody wants is never made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

DEBUG, INFO, WARNING = 10, 20, 30
"""How important a report is, as the log has it."""

Listener = Callable[[Any], Any]
"""A function that is called with an event (see ``consul_lock.events``)."""


class Reporter:
    """Takes reports; this one is for clients to which nobody listens, and drops them."""

    in_tasks = False
    """Whether a listener may be a coroutine function."""
    listens = False
    """Whether anybody listens to all events of the client."""

    def logs(self, level: int) -> bool:
        """Whether the log has records of this level."""
        return False

    def report(
        self, event: str, level: int, about: Mapping[str, Any], listeners: Sequence[Listener] = ()
    ) -> None:
        """It has happened: a record if the log has this level, and an event for those who listen to
        the client, and for these.  ``about`` are the fields of the event."""

    def record(self, event: str, level: int, about: Mapping[str, Any]) -> None:
        """A record alone."""

    def publish(
        self, event: str, about: Mapping[str, Any], listeners: Sequence[Listener] | None = None
    ) -> None:
        """An event alone: for these listeners, or (None) for those of the client."""
