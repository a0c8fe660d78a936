"""Which slot it is: the label on which the hosts of a cron job agree.  Pure.

Each host's cron daemon fires when its own clock shows the time, so each computes the same label,
be the clocks two seconds apart or two hours.  It is the label that travels, not the time.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from math import floor
from typing import Any, NamedTuple

from consul_lock._protocol.arguments import number
from consul_lock.errors import ConfigError
from consul_lock.limits import EARLY_MAX, EVERY_MAX, EVERY_MIN, SKEW_MIN, SLOT_ID_MAX

YEAR_9999 = 253370764800
"""The calendar of Python ends after the year 9999."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")


class Slot(NamedTuple):
    """One slot."""

    label: str
    """A time in UTC, as in RFC 3339, or an ID."""
    epoch: float | None
    """The time in seconds since the epoch; None for an ID."""


class Rhythm(ABC):
    """How slots follow each other."""

    every: float | None = None
    """Seconds from one to the next; None: there is no such number."""
    offset: float = 0.0
    schedule: str = ""
    """A cron expression with its time zone, if it is one."""

    def slot(self, now: float) -> Slot:
        """The slot that a host is in whose clock shows this time.  Raises `ConfigError` for what
        is no time, or one that no calendar has."""
        return self._slot_of(number("at", now))

    @abstractmethod
    def _slot_of(self, now: float) -> Slot: ...

    @abstractmethod
    def following(self, epoch: float) -> float | None:
        """The time of the slot after the one that begins then.  None: there is none."""

    @abstractmethod
    def between(self, earlier: float, later: float) -> int:
        """How many slots lie between those that begin then; of a great many, not all are
        counted."""

    @abstractmethod
    def skew(self, slot: Slot) -> float:
        """How far ahead of this slot a record may be before some clock must be wrong."""


class Every(Rhythm):
    """A slot each so many seconds, counted from the epoch: its edges are in UTC."""

    def __init__(self, every: float | str, offset: float | str, early: float | None) -> None:
        self.every = seconds("every", every)
        if not EVERY_MIN <= self.every <= EVERY_MAX:
            raise ConfigError(
                f"every={every!r} is out of range: {EVERY_MIN:g} s to {EVERY_MAX / 86400:g} d",
                kind="value",
                settings=("every",),
            )
        self.offset = seconds("offset", offset)
        if not 0 <= self.offset < self.every:
            raise ConfigError(
                f"offset={offset!r} and every={every!r}: it must be less than that",
                kind="contradiction",
                settings=("offset", "every"),
            )
        self.early = min(self.every / 4, EARLY_MAX) if early is None else number("early", early)
        if not 0 <= self.early < self.every:
            raise ConfigError(
                f"early={early!r} and every={every!r}: it must be less than that",
                kind="contradiction",
                settings=("early", "every"),
            )

    def _slot_of(self, now: float) -> Slot:
        assert self.every is not None
        # In whole milliseconds: all hosts must come to the very same number.
        every, offset = round(self.every * 1000), round(self.offset * 1000)
        passed = floor((now + self.early) * 1000) - offset
        return slot_at((passed // every * every + offset) / 1000)

    def following(self, epoch: float) -> float | None:
        assert self.every is not None
        following = round((epoch + self.every) * 1000) / 1000
        return following if following < YEAR_9999 else None

    def between(self, earlier: float, later: float) -> int:
        assert self.every is not None
        return max(0, round((later - earlier) / self.every) - 1)

    def skew(self, slot: Slot) -> float:
        assert self.every is not None
        return max(self.every, SKEW_MIN)


class Once(Rhythm):
    """One slot for each ID, whatever the time."""

    def __init__(self, name: str) -> None:
        self._slot = slot_of_id(name)

    def _slot_of(self, now: float) -> Slot:
        return self._slot

    def following(self, epoch: float) -> float | None:
        return None

    def between(self, earlier: float, later: float) -> int:
        return 0

    def skew(self, slot: Slot) -> float:
        return float("inf")


def slot_at(epoch: float) -> Slot:
    """The slot that begins at a time.  Raises `ConfigError` for one that no calendar has."""
    if not 0 <= epoch < YEAR_9999:
        raise ConfigError(
            problem=f"a slot at {epoch!r} s since the epoch",
            hint="is the clock of this host set?",
            kind="clock",
        )
    moment = datetime.fromtimestamp(epoch, UTC).replace(tzinfo=None)
    fraction = "milliseconds" if moment.microsecond else "seconds"
    return Slot(f"{moment.isoformat(timespec=fraction)}Z", float(epoch))


def slot_of_id(name: str) -> Slot:
    """The slot with an ID.  Raises `ConfigError`."""
    if not name or not isinstance(name, str):
        raise ConfigError(
            f"slot={name!r}: an ID is a string that is not empty", kind="value", settings=("slot",)
        )
    if not name.isprintable() or len(name.encode("utf-8", "replace")) > SLOT_ID_MAX:
        raise ConfigError(
            f"slot={name[:40]!r}: an ID is printable, and {SLOT_ID_MAX} bytes at most",
            kind="value",
            settings=("slot",),
        )
    return Slot(name, None)


def parse_slot(text: str) -> Slot:
    """A slot as its label has it: a time with its zone, else an ID."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return slot_of_id(text)
    if moment.tzinfo is None:
        return slot_of_id(text)
    return slot_at(moment.timestamp())


def seconds(what: str, value: Any) -> float:
    """A duration: a number of seconds, or text such as "10m" or "1h30m"."""
    if not isinstance(value, str):
        return number(what, value)
    if value.isdecimal():
        return float(value)
    parts = _PART.findall(value)
    if not parts or "".join(amount + unit for amount, unit in parts) != value:
        raise ConfigError(
            f"{what}={value!r} is no duration: write 90, '10m', '1h30m' or '1d'",
            kind="value",
            settings=(what,),
        )
    return sum(float(amount) * _UNITS[unit] for amount, unit in parts)
