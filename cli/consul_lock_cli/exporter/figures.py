"""What one read of a prefix comes to, in figures: counts, and the times from which ages follow.

An age is not among them: it is computed when it is asked for, so that it grows while Consul is
silent.  For the same reason a cron job is here as its record, of which much is a matter of time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from consul_lock_cli.base.text import harmless

if TYPE_CHECKING:
    from consul_lock import CronProblem, CronRecord, Holder, Overview, Status

NAMES_MAX = 1000
"""How many names of a prefix have series of their own: a prefix that holds a lock for each user or
order would otherwise fill Prometheus."""


class LockFigures(NamedTuple):
    """One name of one kind."""

    name: str
    kind: str
    holders: int
    """That are alive."""
    waiters: int
    dead: int
    held_since: float | None
    """Since when the one who has held it longest says that it does, in seconds since the epoch;
    None: nobody holds it, or they are clients that do not say."""
    waited_since: float | None
    """The same of the waiters."""
    limit: int | None
    """Of a semaphore, if it is known."""

    def with_other(self, other: LockFigures) -> LockFigures:
        """Of both together: two keys of one name, as a tool may use the plain key and consul-lock
        the one below it."""
        return self._replace(
            holders=self.holders + other.holders,
            waiters=self.waiters + other.waiters,
            dead=self.dead + other.dead,
            held_since=_first((self.held_since, other.held_since)),
            waited_since=_first((self.waited_since, other.waited_since)),
        )


class Figures(NamedTuple):
    """All of one prefix."""

    locks: tuple[LockFigures, ...]
    """By name and kind, each pair of which occurs once."""
    crons: Mapping[str, CronRecord | CronProblem]
    """By name."""
    kinds: Mapping[str, int]
    """How many names there are of each kind, also of those that are left out."""
    left_out: int
    """Names beyond `NAMES_MAX`."""
    filtered: bool
    """Whether Consul says that the token may not see all."""


def figures_of(found: Overview) -> Figures:
    """The figures of an overview."""
    merged: dict[tuple[str, str], LockFigures] = {}
    kinds = Counter[str](cron=len(found.crons))
    for status in found.locks:
        if status.kind == "none":
            continue  # the note of a break, and no lock
        kind = _kind(status)
        kinds[kind] += 1
        if kind == "foreign":
            continue
        each = _figures(status, kind)
        known = merged.get((each.name, kind))
        merged[each.name, kind] = each if known is None else known.with_other(each)
    crons = {harmless(each.name): each for each in found.crons}
    names = sorted({name for name, _ in merged} | crons.keys())
    kept = frozenset(names[:NAMES_MAX])
    locks = tuple(each for _, each in sorted(merged.items()) if each.name in kept)
    jobs = {name: crons[name] for name in names[:NAMES_MAX] if name in crons}
    return Figures(locks, jobs, kinds, len(names) - len(kept), found.hidden)


def _kind(status: Status) -> str:
    people = (*status.holders, *status.waiters)
    election = status.kind == "lock" and any(each.candidate for each in people)
    return "election" if election else status.kind


def _figures(status: Status, kind: str) -> LockFigures:
    alive = [each for each in status.holders if each.session not in status.vanished]
    died = not status.holders and status.last_holder is not None
    return LockFigures(
        harmless(status.name),
        kind,
        len(alive),
        len(status.waiters),
        len(status.vanished) + died,
        _earliest(alive),
        _earliest(status.waiters),
        status.limit if kind == "semaphore" else None,
    )


def _earliest(people: Iterable[Holder]) -> float | None:
    return _first(each.since for each in people)


def _first(times: Iterable[float | None]) -> float | None:
    # 0.0 is what a holder has that does not say.
    return min((time for time in times if time), default=None)
