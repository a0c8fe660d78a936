"""Claiming a slot of a cron job: who comes first runs it, and nobody else does.

Every successful check-and-set moves (slot, attempt) of the record up, and Consul puts all writes
into one order: so each (slot, attempt) is written by one claim only.  A host whose write was
acknowledged has won, and so has one that reads its own claim id after an answer was lost.
The write needs the run lock, checked by Consul in the same transaction: so nobody begins while an
earlier attempt could still be alive.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import QUICKER, TRIES_MAX, too_busy
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.cron.decision import CronOutcome, CronPlan, SlotState, decide
from consul_lock._protocol.cron.health import last_success
from consul_lock._protocol.cron.record import CronRecord, CronSkip, CronState, kept
from consul_lock._protocol.cron.reports import report_claim, report_retry_of_claim
from consul_lock._protocol.cron.run import CronRun
from consul_lock._protocol.cron.run_lock import RunLock, RunLockAccess
from consul_lock._protocol.cron.slot import Slot
from consul_lock._protocol.cron.store import (
    Alter,
    RecordView,
    change_record,
    read_record,
    record_rule,
    record_write,
    wait_for_news,
)
from consul_lock._protocol.flow import Flow, Now, Sleep, Wall
from consul_lock._protocol.reporter import Listener
from consul_lock.errors import ConsulLockError, Unavailable

# Seconds for a note that decides nothing.
_NOTE_WITHIN = 2.0

_OVER = {
    SlotState.TAKEN: CronOutcome.TAKEN,
    SlotState.PASSED: CronOutcome.PASSED,
    SlotState.PAUSED: CronOutcome.PAUSED,
}


class SlotClaim:
    """One call of claim: what it has done so far, and all that its undo has to know."""

    def __init__(
        self,
        client: ClientCore,
        name: str,
        plan: CronPlan,
        lock: RunLock | None,
        owner: Any,
        listeners: tuple[Listener, ...] = (),
    ) -> None:
        self.client = client
        self.listeners = listeners
        self.name = name
        self.plan = plan
        self.entry = RunLockAccess(plan, lock, owner)
        self.lock = lock
        about = client.identity.about
        self._who: dict[str, Any] = {"host": str(about["host"]), "pid": int(about["pid"])}
        chance = "".join(f"{int(client.random() * 2**48):012x}" for _ in range(2))
        self.id = f"{self._who['host']}:{self._who['pid']}:{chance}"
        self._firing = Firing(plan)
        self.slot = self._firing.slot
        self.started = 0.0
        """When the slot was won (driver's clock)."""
        self.ending = False
        """The end of its run has begun."""
        self._patience = ErrorBudget(client)
        self._patience.on_retry, self._patience.subject = report_retry_of_claim, (self,)
        self._unsure = False
        """A claim was sent, and its outcome is unknown."""
        self._refused = 0
        """Claims that were refused, as the record had changed."""
        self._before: CronRecord | None = None
        """The record as this call found it, before it wrote anything."""
        self._seen: RecordView | None = None
        """What was seen last."""

    @property
    def forked(self) -> bool:
        """This is a forked child of the process that made it: the run belongs to the parent."""
        return bool(self.client.identity.about["pid"] != self._who["pid"])

    def flow(self, at: float | None) -> Flow[CronRun[Any]]:
        """Claim the slot of this time (None: of now)."""
        return self._patience.bound(self._flow(at))

    def _flow(self, at: float | None) -> Flow[CronRun[Any]]:
        yield from self._firing.begin(at)
        self.slot = self._firing.slot
        if (yield from self._firing.late()):
            late = CronRun[Any](CronOutcome.LATE, self.name, self.slot, None)
            report_claim(self, late)
            return late
        # Only now: the slot is that of the firing.
        if self.plan.splay:
            yield Sleep(0.0, self.plan.splay)
        self.entry.begun = yield Now()
        while True:
            try:
                run = yield from self._turn()
            except Unavailable as error:
                failed = error
            else:
                self._patience.well()
                if run is not None:
                    run.before = self._before
                    report_claim(self, run)
                    return run
                continue
            yield from self._ride_out(failed)

    def _ride_out(self, error: Unavailable) -> Flow[None]:
        try:
            if self.entry.exhausted:
                raise error
            yield from self._patience.ride_out(error)
        except Unavailable:
            if not self._unsure:
                raise
            problem = (
                f"slot {self.slot.label} of {self.name!r} was not run: the claim was sent, and"
                " Consul never said what became of it"
            )
            raise Unavailable(
                f"{problem} ({error}); the slot may be lost",
                problem=problem,
                kind="claim-unknown",
                uncertain=True,
                status=error.status,
                key=f"{self.name}/.cron",
            ) from error

    def _turn(self) -> Flow[CronRun[Any] | None]:
        """Look, judge, act.  None: once more."""
        entry = self.entry
        held = yield from entry.holds()
        seen = yield from self._look()
        now = yield Wall()
        verdict = decide(seen.record, self.slot, self.id, self.plan, now)
        if seen.record is not None and verdict is SlotState.WON and self._proved(held, seen.record):
            return (yield from self._won(seen.record))
        if verdict in _OVER:
            return (yield from self._skip(_OVER[verdict], seen))
        if verdict is SlotState.WAIT_FOR_RETRY:
            yield from entry.let_go()
            entry.wait = yield from entry.standby()
            return None if entry.wait > 0 else (yield from self._skip(CronOutcome.TAKEN, seen))
        if verdict is not SlotState.WON and (over := (yield from self._over())):
            return (yield from self._skip(over, seen))
        if not held:
            outcome = yield from entry.enter(seen, verdict is SlotState.RETRY)
            if outcome is not None:
                return (yield from self._skip(outcome, seen))
            if entry.undo is None:
                return None
        return (yield from self._claim(seen.record or CronRecord(self.name)))

    def _proved(self, held: bool, record: CronRecord) -> bool:
        """Whether the claim was written under the run lock that is held now, and no other: if
        that one was lost, others may have followed, so it is written once more under this one."""
        return held and record.session == self._session()

    def _session(self) -> str:
        hold = self.lock.hold if self.lock else None
        return hold.session.id if hold else ""

    def _look(self) -> Flow[RecordView]:
        """Look, if there is something to wait for once that has come."""
        wait, self.entry.wait = self.entry.wait, 0.0
        if wait > 0 and self._seen is not None:
            yield from wait_for_news(self.client, self.name, self._seen, wait)
        first = self._seen is None
        self._seen = yield from read_record(self.client, self.name)
        if first:
            self._before = self._seen.record
        return self._seen

    def _over(self) -> Flow[CronOutcome | None]:
        """Whether the time of the slot is over, because the process waited or was stopped."""
        if (yield from self._firing.late_to_run()):
            return CronOutcome.LATE
        if not self.entry.overlapped or self.plan.overlap != "wait":
            return None
        return CronOutcome.OVERLAP if (yield from self._firing.followed()) else None

    def _claim(self, old: CronRecord) -> Flow[CronRun[Any] | None]:
        """Write the claim, over the very record that was read.  None: look again."""
        since = yield Wall()
        record = self._claimed(old, since)
        write = record_write(record, old.index)
        doing, rule = f"claiming slot {self.slot.label} in {old.key!r}", record_rule(self.name)
        try:
            if self.lock is None or self.lock.hold is None:
                outcome = yield from self.client.api.transact([write], doing, rule)
            else:
                operations = [*self.lock.operations(self.slot, since), write]
                request = self.client.api.transaction(operations, doing, rule)
                outcome = yield from self.client.write(self.lock.hold.session, request)
        except Unavailable as error:
            self._unsure = self._unsure or error.uncertain
            raise
        if outcome.done:
            return (yield from self._won(replace(record, index=outcome.raft_index)))
        self._refused += 1
        if self._refused > TRIES_MAX:
            self.entry.exhausted = True
            raise too_busy(old.key, "writing")
        yield from self.entry.disproved(outcome)
        yield Sleep(*QUICKER)
        return None

    def _claimed(self, old: CronRecord, since: float) -> CronRecord:
        hold = self.lock.hold if self.lock else None
        session, token = self._session(), hold.token if hold else 0
        if old.claim == self.id:
            return replace(old, session=session, token=token)
        rhythm, epoch = self.plan.rhythm, self.slot.epoch
        again = old.slot == self.slot.label and old.claim != ""
        # This host has the run lock, so its earlier holder is dead.
        history = old.past(dead=hold is not None and old.session != "")
        return CronRecord(
            self.name,
            self.slot.label,
            self.slot.epoch,
            self.id,
            old.attempt + 1 if again else 1,
            CronState.CLAIMED,
            **self._who,
            session=session,
            token=token,
            every=rhythm.every,
            offset=rhythm.offset,
            schedule=rhythm.schedule,
            claimed_at=since,
            overlaps=old.overlaps,
            overlapped=old.overlapped,
            paused=old.pause_left(since),
            history=kept(history, self.plan.history),
            changed=old.changed,
            skipped=old.skipped,
            next_slot=None if epoch is None else rhythm.following(epoch),
            gap=0 if again else self._gap(old),
            last_success=last_success(old),
        )

    def _gap(self, old: CronRecord) -> int:
        """How many slots lie between the last claim and this one: only a host that claims knows
        the expression, and those that read it later need not."""
        earlier, later = old.epoch, self.slot.epoch
        if earlier is None or later is None or old.next_slot is None or old.next_slot >= later:
            return 0
        return self.plan.rhythm.between(earlier, later)

    def _skipped(self, why: str) -> CronSkip:
        epoch = self.slot.epoch
        following = None if epoch is None else self.plan.rhythm.following(epoch)
        return CronSkip(self.slot.label, epoch, why, following)

    def _won(self, record: CronRecord) -> Flow[CronRun[Any]]:
        """This host has it.  The start is recorded if possible: nothing depends on that."""
        self.started = yield Now()
        now = yield Wall()

        def alter(found: CronRecord) -> CronRecord | None:
            ours = found.claim == self.id
            return replace(found, state=CronState.RUNNING, started_at=now) if ours else None

        noted = yield from self._note(record, alter)
        yield from self.entry.confirm()
        return CronRun(CronOutcome.RUN, self.name, self.slot, noted or record)

    def _skip(self, outcome: CronOutcome, seen: RecordView) -> Flow[CronRun[Any]]:
        """This host does not have it."""
        yield from self.entry.let_go()
        first = False
        if outcome is CronOutcome.OVERLAP:
            first = yield from self._count_overlap(seen.record or CronRecord(self.name))
        if outcome is CronOutcome.PAUSED and seen.record is not None:
            yield from self._note_pause(seen.record)
        return CronRun(outcome, self.name, self.slot, seen.record, first)

    def _count_overlap(self, record: CronRecord) -> Flow[bool]:
        """Count the slot as skipped; whether this host is the first to do so."""

        def alter(found: CronRecord) -> CronRecord | None:
            if found.overlapped == self.slot.label:
                return None
            skipped = found.with_skip(self._skipped("overlap"))
            return replace(
                found, overlaps=found.overlaps + 1, overlapped=self.slot.label, skipped=skipped
            )

        return (yield from self._note(record, alter)) is not None

    def _note_pause(self, record: CronRecord) -> Flow[None]:
        """Remember that the slot was skipped, once for all hosts: it was not missed."""

        def alter(found: CronRecord) -> CronRecord | None:
            known = any(skip.slot == self.slot.label for skip in found.skipped)
            if known or found.paused is None or found.slot == self.slot.label:
                return None
            return replace(found, skipped=found.with_skip(self._skipped("paused")))

        yield from self._note(record, alter)

    def _note(self, record: CronRecord, alter: Alter) -> Flow[CronRecord | None]:
        try:
            return (yield from change_record(self.client, record, alter, _NOTE_WITHIN))
        except ConsulLockError:
            return None


class Firing:
    """When the job was fired: its slot, and whether the time of that is over.

    The clock of the host is read once.  From then on the driver's clock counts: it never steps, so
    a correction meanwhile makes no slot older or younger, and a time that the caller has given is
    as good as one that was read here.
    """

    def __init__(self, plan: CronPlan) -> None:
        self._plan = plan
        self.slot = Slot("", None)
        self._at = 0.0
        """Seconds since the epoch at which it was fired, and the driver's clock then."""
        self._asked = 0.0

    def begin(self, at: float | None) -> Flow[None]:
        """It was fired at this time (seconds since the epoch; None: just now)."""
        self._at = (yield Wall()) if at is None else at
        self._asked = yield Now()
        self.slot = self._plan.rhythm.slot(self._at)

    def late(self) -> Flow[bool]:
        """Whether the slot began too long ago."""
        return (yield from self._late(0.0))

    def late_to_run(self) -> Flow[bool]:
        """The same just before it is run: the time of ``splay`` and ``standby`` was allowed."""
        return (yield from self._late(self._plan.splay + self._plan.standby))

    def _late(self, allowed: float) -> Flow[bool]:
        most, epoch = self._plan.max_lateness, self.slot.epoch
        if most is None or epoch is None:
            return False
        now = yield from self._now()
        return bool(now - epoch > most + allowed)

    def followed(self) -> Flow[bool]:
        """Whether the next slot has begun meanwhile."""
        if self.slot.epoch is None:
            return False
        now = yield from self._now()
        return bool(self._plan.rhythm.slot(now) != self.slot)

    def _now(self) -> Flow[float]:
        now = yield Now()
        return float(self._at + now - self._asked)
