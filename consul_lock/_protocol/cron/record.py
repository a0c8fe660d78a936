"""The record of a cron job: which slot was last, who ran it, and what came of it.  Pure.

``NAME/.cron`` holds it, as JSON.  It changes by check-and-set only, and only an operator deletes
it: its memory is the guarantee.  What is found under the key and is none of this is never
overwritten.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from consul_lock._protocol.keys import CRON_SUFFIX
from consul_lock.limits import EVERY_MAX, EVERY_MIN


class CronState(enum.Enum):
    """What became of a slot."""

    IDLE = "idle"
    """No slot was run yet, or the record was reset."""
    CLAIMED = "claimed"
    """Somebody has claimed it, and is about to begin."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    """The run lock was lost while it ran, or the host that ran it is dead."""
    TIMEOUT = "timeout"
    """It was stopped, as it took too long."""


UNDER_WAY = (CronState.CLAIMED, CronState.RUNNING)

SKIPS_MAX = 100
"""How many skipped slots are remembered."""

EXTRA_MAX = 20
"""How many extra runs are remembered."""

# Seconds after its end for which a pause stays in the record: by the clock of a host that is ahead
# it is over, and must not be so for the others, too.
_PAUSE_KEPT = 86400.0


class CronPause(NamedTuple):
    """Why nothing is run."""

    by: str
    at: float
    """Seconds since the epoch, by the clock of the host that wrote it; so is ``until``."""
    until: float | None
    """None: until it is resumed."""
    reason: str


class CronChange(NamedTuple):
    """What an operator has done."""

    what: str
    """"paused", "resumed" or "reset"."""
    by: str
    at: float
    """Seconds since the epoch, by the clock of the host that did it."""


class CronPast(NamedTuple):
    """An earlier run."""

    slot: str
    """Empty: an extra run, outside of all slots."""
    epoch: float | None
    attempt: int
    state: CronState
    host: str
    claim: str
    """Who claimed it; empty: it was reset, and does not count any more."""
    claimed_at: float
    runtime: float | None
    exit: int | None
    every: float | None = None
    """How the host that ran it counted the slots, as in `CronRecord`; with neither this nor
    ``schedule`` that is not known, or the slot was an ID."""
    offset: float = 0.0
    schedule: str = ""
    next_slot: float | None = None
    """As in `CronRecord`; so is ``gap``."""
    gap: int = 0

    @property
    def extra(self) -> bool:
        """Whether an operator started it, and no slot."""
        return not self.slot

    @property
    def interval(self) -> float | None:
        """``every``, if it is one that a job can have."""
        return _interval(self.every)

    @property
    def finished_at(self) -> float | None:
        """When it ended, by the clock of its host; None: that is not known."""
        end = None if self.runtime is None else self.claimed_at + self.runtime
        return end if end is not None and isfinite(end) else None


def _interval(every: float | None) -> float | None:
    return every if every is not None and EVERY_MIN <= every <= EVERY_MAX else None


class CronSkip(NamedTuple):
    """A slot that hosts came to, and did not run on purpose."""

    slot: str
    epoch: float | None
    why: str
    """"overlap" or "paused"."""
    next_slot: float | None = None
    """The time of the slot after it, as in `CronRecord`."""


def kept(history: tuple[CronPast, ...], runs: int) -> tuple[CronPast, ...]:
    """So many runs of slots, the latest ones, and the extra runs among them.

    An extra run takes no place of a slot: the IDs in the history are what keeps them from being
    run once more.
    """
    found: list[CronPast] = []
    extras = 0
    for past in history:
        extras += past.extra
        runs -= not past.extra
        if runs < 0:
            break
        if not past.extra or extras <= EXTRA_MAX:
            found.append(past)
    return tuple(found)


@dataclass(frozen=True)
class CronRecord:
    """What Consul knows of a cron job.  Times are seconds since the epoch, by the clock of the
    host that wrote them."""

    name: str
    slot: str = ""
    """The last slot that was claimed: a time in UTC, or an ID; empty: none."""
    epoch: float | None = None
    """The time of the slot; None for an ID."""
    claim: str = ""
    """Who claimed it: an id that no other attempt has."""
    attempt: int = 0
    state: CronState = CronState.IDLE
    host: str = ""
    pid: int = 0
    session: str = ""
    """The session of its run lock; empty if it had none."""
    token: int = 0
    """The fencing token of its run lock."""
    every: float | None = None
    offset: float = 0.0
    schedule: str = ""
    claimed_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    exit: int | None = None
    runtime: float | None = None
    overlaps: int = 0
    """Slots that were skipped, as the run before was still under way."""
    overlapped: str = ""
    """The last of those."""
    paused: CronPause | None = None
    history: tuple[CronPast, ...] = ()
    """Earlier runs, the latest first."""
    changed: CronChange | None = None
    """What an operator did last, and who it was."""
    index: int = 0
    """ModifyIndex of the key; 0: there is none."""
    crashed: bool = False
    """It says that a run is under way, but its session does not hold the run lock: the process
    that ran it is dead."""
    skipped: tuple[CronSkip, ...] = ()
    """Slots that were skipped for an overlap or a pause, the latest first."""
    next_slot: float | None = None
    """When the slot after this one begins, as the host that claimed this one counts: what is
    overdue is known without a cron expression, and without time zones.  None: slots are IDs, or an
    older version wrote it."""
    gap: int = 0
    """How many slots lie between the claim before and this one, skipped ones included; of a great
    many, not all are counted."""
    last_success: float | None = None
    """When a run last ended well, also one that the history has forgotten; None: an older version
    wrote it, or there was none.  `CronHealth` knows both."""

    @property
    def key(self) -> str:
        """The key that holds it."""
        return f"{self.name}{CRON_SUFFIX}"

    @property
    def interval(self) -> float | None:
        """``every``, if it is one that a job can have: others may have written anything."""
        return _interval(self.every)

    @property
    def shown(self) -> CronState:
        """The state; `CronState.LOST` if it cannot be true any more."""
        return CronState.LOST if self.crashed else self.state

    def is_paused(self, now: float) -> bool:
        """Whether it is paused at this time."""
        return self.paused is not None and (self.paused.until is None or now < self.paused.until)

    def with_skip(self, skip: CronSkip) -> tuple[CronSkip, ...]:
        """The skipped slots and this one; an older version of consul-lock forgets them."""
        return (skip, *self.skipped)[:SKIPS_MAX]

    def pause_left(self, now: float) -> CronPause | None:
        """The pause, unless it is over by any clock."""
        end = self.paused.until if self.paused else None
        return None if end is not None and now >= end + _PAUSE_KEPT else self.paused

    def past(self, *, dead: bool) -> tuple[CronPast, ...]:
        """The history with this run in it; ``dead``: if it was under way, it is not any more."""
        if not self.slot or (self.epoch is not None and not self.attempt):
            return self.history  # nothing was run: it is a time that an operator has set
        state = CronState.LOST if dead and self.state in UNDER_WAY else self.state
        this = CronPast(
            self.slot,
            self.epoch,
            self.attempt,
            state,
            self.host,
            self.claim,
            self.claimed_at or 0.0,
            self.runtime,
            self.exit,
            self.every,
            self.offset,
            self.schedule,
            self.next_slot,
            self.gap,
        )
        return (this, *self.history)


ADVICE = (
    "it is left as it is and nothing was run: use another name, or delete the key if nobody needs"
    " it"
)
"""The hint of the error for a key that is no record."""


class CronProblem(NamedTuple):
    """A key where a record should be, of which nothing can be made."""

    name: str
    key: str
    problem: str

    @property
    def why(self) -> str:
        """What is wrong, without the key and the advice."""
        return self.problem.removeprefix(f"{self.key!r}: ").removesuffix(f"; {ADVICE}")
