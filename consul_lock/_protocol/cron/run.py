"""The outcome of a claim, for the program that made it."""

from __future__ import annotations

from typing import Generic, TypeVar

from consul_lock._protocol.cron.decision import CronOutcome, story
from consul_lock._protocol.cron.record import CronRecord, CronState
from consul_lock._protocol.cron.slot import Slot
from consul_lock.errors import ConfigError

L = TypeVar("L")

# Exit codes, to either side of 0, are as large as a record can hold.
_CODE_MAX = 2**63 - 1

_ENDS = (CronState.DONE, CronState.FAILED, CronState.LOST, CronState.TIMEOUT)


def is_exit_code(code: object) -> bool:
    """Whether a record can hold it: with anything else no host could read the record any more."""
    return isinstance(code, int) and not isinstance(code, bool) and abs(code) <= _CODE_MAX


def check_end(state: CronState, code: object) -> None:
    """Raise `ConfigError` for what is no end of a run, or no exit code."""
    if code is not None and not is_exit_code(code):
        raise ConfigError(
            f"code={code!r} is no exit code: it is a whole number, or None",
            kind="value",
            settings=("code",),
        )
    if state not in _ENDS:
        ends = ", ".join(end.value for end in _ENDS)
        raise ConfigError(
            f"state={state!r} is no end that a run can say itself: {ends}",
            kind="value",
            settings=("state",),
        )


class CronRun(Generic[L]):
    """The outcome of a claim: true if this host has the slot, and is to run the job."""

    def __init__(
        self,
        outcome: CronOutcome,
        name: str,
        slot: Slot,
        record: CronRecord | None,
        first: bool = False,
    ) -> None:
        self.outcome = outcome
        self.name = name
        self.slot = slot.label
        """The slot: a time in UTC, as in RFC 3339, or an ID."""
        self.epoch = slot.epoch
        """Its time in seconds since the epoch; None for an ID."""
        self.record = record
        """What was found, or written by this claim; None: nothing."""
        self.before: CronRecord | None = None
        """The record before this claim: the slots of the host that claimed last; None: there was
        none, or it was not read."""
        self.reason = story(outcome, name, slot, record)
        """The outcome in words."""
        self.first = first
        """This host was the first to meet this overlap: one warning for all hosts is enough."""
        self.lock: L | None = None
        """The run lock, held: its ``lost``, ``token``, ``ensure_held()`` and so on.  None if there
        is nothing to be run, or ``overlap="allow"``."""
        self.recorded = False
        """Whether the end of the run was written into the record; known when the block is left."""
        self.end: tuple[CronState, int | None] | None = None

    @property
    def attempt(self) -> int:
        """The number of this attempt at the slot, from 1 on; 0 if this host does not have it."""
        return self.record.attempt if self and self.record else 0

    def ended(self, state: CronState, code: int | None = None) -> None:
        """Say how the run has ended: done, failed, lost or timeout, with an exit code.

        It is recorded when the block is left.  Without it that is "done", or "failed" after an
        exception; it is "lost" whenever the run lock was lost.  No I/O.  Raises `ConfigError`.
        """
        check_end(state, code)
        self.end = state, code

    def __bool__(self) -> bool:
        return self.outcome is CronOutcome.RUN

    def __repr__(self) -> str:
        return f"<CronRun {self.reason}>"
