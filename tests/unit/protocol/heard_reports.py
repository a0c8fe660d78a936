"""A reporter that keeps all reports, for tests of what is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from consul_lock._protocol.reporter import DEBUG, Listener, Reporter


class Heard(NamedTuple):
    """One report."""

    event: str
    level: int | None
    """None: there is no record in the log."""
    about: Mapping[str, Any]
    listeners: tuple[Listener, ...] = ()


class HeardReports(Reporter):
    """Somebody listens to all, and the log has what is at this level or above it."""

    def __init__(self, *, listens: bool = True, level: int = DEBUG) -> None:
        self.listens = listens
        self._level = level
        self.reports: list[Heard] = []
        self.records: list[Heard] = []

    def logs(self, level: int) -> bool:
        return level >= self._level

    def report(
        self, event: str, level: int, about: Mapping[str, Any], listeners: Sequence[Listener] = ()
    ) -> None:
        self.reports.append(Heard(event, level, about, tuple(listeners)))

    def record(self, event: str, level: int, about: Mapping[str, Any]) -> None:
        self.records.append(Heard(event, level, about))

    def publish(
        self, event: str, about: Mapping[str, Any], listeners: Sequence[Listener] | None = None
    ) -> None:
        self.reports.append(Heard(event, None, about, tuple(listeners or ())))

    @property
    def events(self) -> list[str]:
        """The names of the reports, in order."""
        return [each.event for each in self.reports]

    def only(self, event: str) -> Mapping[str, Any]:
        """What the one report of this name is about."""
        (found,) = [each.about for each in self.reports if each.event == event]
        return found
