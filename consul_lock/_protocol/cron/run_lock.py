"""The run lock of a cron job: the lock of its name, whose value says whether a run is under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import QUICKER
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.consul.models import Pair, base64_text
from consul_lock._protocol.consul.operations import check_session, lock_operation
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.cron.decision import CronOutcome, CronPlan
from consul_lock._protocol.cron.record import UNDER_WAY
from consul_lock._protocol.cron.slot import Slot
from consul_lock._protocol.cron.store import RecordView
from consul_lock._protocol.flow import Flow, Now, Sleep
from consul_lock._protocol.hold.hold import Attempt, Grant
from consul_lock._protocol.holder import CRON_VALUE, parse_holder
from consul_lock._protocol.keys import LockKeys
from consul_lock._protocol.lock.base import LockAttempt
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.acquire import persist
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.primitive.release import suppress_lock_errors
from consul_lock._protocol.reporter import DEBUG
from consul_lock._protocol.session.timing import validity_of
from consul_lock.errors import Unavailable

LOOKING = f"{CRON_VALUE}looking"
"""The value of a holder that has the lock only to look at the record."""


OPERATIONS = 2
"""How many operations of a claim are about the lock: the first ones."""


# Seconds to wait for one who holds the run lock only to look at the record, which takes
# milliseconds: after so many it is stuck.
_LOOKER_MAX = 5.0


# Seconds between tries while Consul imposes the lock-delay, whose end nothing announces, and how
# long after its length it must be over.
_DELAY_RETRY, _DELAY_MORE = (0.25, 1.0), 5.0


class RunLock(LockCore):
    """A lock that is tried once, whatever goes wrong with Consul meanwhile."""

    kind = "cron"
    # Most hosts acquire it for a moment only, to look at the record.
    level = DEBUG

    def __init__(self, client: ClientCore, keys: LockKeys, settings: Settings) -> None:
        super().__init__(client, keys, settings)
        self.about = self.about.valued(LOOKING)

    def contend(self, attempt: LockAttempt) -> Flow[Grant | None]:
        """Try once.  A lost answer must not cost the session, and all hosts a lock-delay:
        asking again, with the same session, shows the outcome."""
        return persist(super().contend, attempt)

    def patience_of(self, attempt: Attempt, wait: float | None) -> ErrorBudget:
        return ErrorBudget(self.client, name=self.name)

    def operations(self, slot: Slot, since: float) -> list[dict[str, Any]]:
        """Operations that are refused if the lock is not held, and say that a run is under way."""
        hold = self.hold
        assert hold is not None
        about = hold.attempt.about.valued(f"{CRON_VALUE}running {slot.label}")
        value = base64_text(about.value(since, hold.token))
        session = hold.session.id
        return [check_session(self.key, session), lock_operation(self.key, session, value)]


def looks(pair: Pair) -> bool:
    """Whether the holder only looks at the record.  Of all others, something is under way."""
    return parse_holder(pair.session, pair.value).value == LOOKING


class RunLockAccess:
    """The way of one call to the run lock, if there is one.

    To hold it proves that no earlier run is alive.  All who come at the same time get it for a
    look, so only a holder that says that a run is under way is one to give way to.
    """

    def __init__(self, plan: CronPlan, lock: RunLock | None, owner: Any) -> None:
        self.plan = plan
        self.lock = lock
        self.undo: Callable[[], Flow[None]] | None = None
        """How to undo the acquire of the run lock; None: it is not held, and cannot become so."""
        self.exhausted = False
        """Consul failed for as long as is to be tried."""
        self.wait = 0.0
        """Seconds that a look may wait for news."""
        self.overlapped = False
        """An earlier run was seen to be under way."""
        self._stood_by = False
        """The record said that it is under way: so whether it crashes is worth to be seen."""
        self.begun = 0.0
        """Since when it is tried (driver's clock)."""
        self.owner = owner
        self._looker: tuple[str, float] = ("", 0.0)
        """Who holds the run lock only to look, and since when."""
        self._delayed: float | None = None
        """Since when the run lock is free and cannot be acquired."""

    def holds(self) -> Flow[bool]:
        """Whether the run lock is held, if there is one."""
        if self.lock is None:
            return True
        if self.undo is None:
            return False
        now = yield Now()
        if self.lock.hold is not None and self.lock.hold.counts(now):
            return True
        yield from self.let_go()
        return False

    def enter(self, seen: RecordView, retry: bool) -> Flow[CronOutcome | None]:
        """Take the run lock.  None: it is held, or the record is worth another look; else the
        outcome."""
        ended = self._stood_by and not retry and not _under_way(seen)
        if ended and self.plan.overlap == "skip":
            return CronOutcome.OVERLAP  # it has not crashed, but ended in order
        if seen.lock is None or not seen.lock.session:
            if (yield from self._acquire()):
                self._delayed = None
                return None
            left = yield from self._until_delay_is_over(retry)
        else:
            self._delayed = None
            self.wait = left = yield from self._until_it_is_free(seen, seen.lock, retry)
        if left > 0:
            return None
        return CronOutcome.TAKEN if retry else CronOutcome.OVERLAP

    def _acquire(self) -> Flow[bool]:
        assert self.lock is not None
        job = self.lock.acquire(False, None, self.owner)
        self.undo = job.undo
        try:
            got: bool = yield from job.flow
        except Unavailable as error:
            failed: Unavailable | None = error
        else:
            failed = None
        if failed is not None:
            self.exhausted = True
            raise failed
        if not got:
            self.undo = None
        return got

    def _until_delay_is_over(self, retry: bool) -> Flow[float]:
        """Pause, as it is in lock-delay, or somebody was quicker.  Returns the seconds left."""
        assert self.lock is not None
        now = yield Now()
        if self._delayed is None:
            self._delayed = now
            yield Sleep(*QUICKER)
            return 1.0
        left = yield from self.standby()
        if not retry:
            over = self._delayed + validity_of(self.lock.terms) + _DELAY_MORE
            left = max(left, over - now)
        if left > 0:
            yield Sleep(*_DELAY_RETRY)
        return float(left)

    def _until_it_is_free(self, seen: RecordView, pair: Pair, retry: bool) -> Flow[float]:
        """Seconds to wait for its holder."""
        now = yield Now()
        if looks(pair):
            if self._looker[0] != pair.session:
                self._looker = pair.session, now
            if (left := self._looker[1] + _LOOKER_MAX - now) > 0:
                return float(left)
        standby = yield from self.standby()
        if retry:
            return float(standby)
        self.overlapped = True
        self._stood_by = _under_way(seen)
        if self.plan.overlap != "wait":
            return float(standby)
        if self.plan.wait is None:
            return _DELAY_MORE  # for ever, in steps
        return float(max(standby, self.begun + self.plan.wait - now))

    def standby(self) -> Flow[float]:
        """Seconds of standby that are left; not above 0: none."""
        now = yield Now()
        return float(self.begun + self.plan.standby - now)

    def confirm(self) -> Flow[None]:
        """Raise `LockLost` if the run lock was lost since the claim: the process was stopped for so
        long that a further attempt may be at work."""
        hold = self.lock.hold if self.lock else None
        now = yield Now()
        if self.lock is not None and hold is not None and not hold.counts(now):
            raise self.lock.lost_error(hold)

    def let_go(self) -> Flow[None]:
        """Release the run lock, if it is held; errors change nothing any more."""
        if self.lock is not None and self.undo is not None:
            job = self.lock.release(self.owner)
            self.undo = job.undo
            yield from suppress_lock_errors(job)
            self.undo = None

    def disproved(self, outcome: TxnResult) -> Flow[None]:
        """A write was refused: was that because the lock is not held any more?

        Consul names the lock-delay before it checks whether the session held the lock.
        """
        hold = self.lock.hold if self.lock else None
        if self.lock is not None and hold is not None and outcome.refusals(0, OPERATIONS):
            reason = yield from self.lock.examine(hold, None, None)
            if reason is not None:
                yield from self.lock.client.lose(hold, reason)


def _under_way(seen: RecordView) -> bool:
    return seen.record is not None and seen.record.state in UNDER_WAY
