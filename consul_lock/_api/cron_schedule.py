"""Slots by a cron expression, in the time of a place.  The library cronsim reads the expression.

Daylight saving is treated as by Debian's cron.  A job at fixed hours whose time is skipped in
spring runs right after the gap, and one whose time comes twice in autumn runs the first time only.
A job that says ``*`` for hours or minutes runs by the hours that really pass: twice as often in
the hour that comes twice.  The label is the instant in UTC, so it is never the same for two.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import dropwhile, islice, takewhile
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from consul_lock._protocol.arguments import number
from consul_lock._protocol.cron.slot import Rhythm, Slot, slot_at
from consul_lock.errors import ConfigError
from consul_lock.limits import EARLY_MAX, SCHEDULE_MAX, SKEW_MIN

# How far before now counting begins: no change of a clock is longer.
_BACK = timedelta(hours=3)

# Slots that are counted between two claims: with one a minute, those of most of a day.
_BETWEEN_MAX = 1000


class Instants(NamedTuple):
    """The instants of a schedule on both sides of a moment, in seconds since the epoch."""

    last: float | None
    """At the moment, or before; None: there has never been one."""
    next: float | None


class Schedule(Rhythm):
    """A slot at each instant of a cron expression."""

    def __init__(self, expression: str, timezone: str, early: float | None) -> None:
        self._sim = _cronsim()
        if len(str(expression).split()) != 5:
            raise ConfigError(
                f"schedule={expression!r}: five fields are wanted: minute, hour, day of the month,"
                " month, day of the week, as in '*/10 * * * *'",
                kind="schedule",
                settings=("schedule",),
            )
        self._expression = " ".join(str(expression).split())
        self._zone = _zone(timezone)
        self._early = None if early is None else number("early", early)
        if self._early is not None and self._early < 0:
            raise ConfigError(f"early={early!r} is negative", kind="value", settings=("early",))
        self.schedule = f"{self._expression} {timezone}"
        if len(self.schedule.encode("utf-8", "replace")) > SCHEDULE_MAX:
            raise ConfigError(
                f"schedule={self._expression[:40]!r}... is longer than {SCHEDULE_MAX} bytes",
                kind="schedule",
                settings=("schedule",),
            )
        self._check()

    def _check(self) -> None:
        try:
            found = next(self._from(datetime(2000, 1, 1, tzinfo=UTC)), None)
        except (self._sim.CronSimError, ValueError) as error:
            raise ConfigError(
                f"schedule={self._expression!r}: {error}", kind="schedule", settings=("schedule",)
            ) from error
        if found is None:
            raise ConfigError(
                f"schedule={self._expression!r}: no such day ever comes",
                kind="schedule",
                settings=("schedule",),
            )

    def _slot_of(self, now: float) -> Slot:
        around = self.around(now)
        if around.next is not None and around.next - now <= self._lead(around):
            return slot_at(around.next)
        if around.last is None:
            raise ConfigError(
                f"schedule={self._expression!r} has had no instant yet",
                kind="schedule",
                settings=("schedule",),
            )
        return slot_at(around.last)

    def skew(self, slot: Slot) -> float:
        assert slot.epoch is not None
        following = self.following(slot.epoch)
        return max(SKEW_MIN, following - slot.epoch if following is not None else 0.0)

    def following(self, epoch: float) -> float | None:
        return self.around(epoch).next

    def between(self, earlier: float, later: float) -> int:
        start = datetime.fromtimestamp(earlier, UTC)
        # As in `around`, counting begins before any change of the clocks.
        instants = (instant.timestamp() for instant in self._from(start - _BACK))
        after = dropwhile(lambda instant: instant <= earlier, instants)
        return sum(1 for _ in islice(takewhile(lambda at: at < later, after), _BETWEEN_MAX))

    def _lead(self, around: Instants) -> float:
        if self._early is not None:
            return self._early
        if around.last is None or around.next is None:
            return EARLY_MAX
        return min((around.next - around.last) / 4, EARLY_MAX)

    def around(self, now: float) -> Instants:
        """The instants on both sides of a moment.

        Counted forwards, from one that lies before any change of the clocks: so the answer does
        not depend on the direction, and time never runs backwards.
        """
        moment = datetime.fromtimestamp(slot_at(now).epoch or 0.0, UTC)
        before = next(self._from(moment - _BACK, reverse=True), None)
        last = None if before is None else before.timestamp()
        for instant in self._from(moment - _BACK if before is None else before):
            if instant > moment:
                return Instants(last, instant.timestamp())
            last = instant.timestamp()
        return Instants(last, None)

    def _from(self, moment: datetime, *, reverse: bool = False) -> Iterator[datetime]:
        local = moment.astimezone(self._zone)
        found = self._sim.CronSim(self._expression, local, reverse=reverse)
        # It ends also where the calendar does.
        with suppress(OverflowError):
            for instant in found:
                yield instant.astimezone(UTC)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # a host without the files of the zones knows this one, too
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            problem=f"timezone={name!r} is unknown on this host",
            hint="names are as in 'Europe/Berlin'; if that is one, install tzdata",
            kind="timezone",
            settings=("timezone",),
        ) from error


def _cronsim() -> Any:
    try:
        import cronsim
    except ImportError as error:
        raise ConfigError(
            problem="schedule= needs cronsim",
            hint="pip install '.[cron]' in a checkout of consul-lock has it; every= needs nothing",
            kind="no-cronsim",
            settings=("schedule",),
        ) from error
    return cronsim
