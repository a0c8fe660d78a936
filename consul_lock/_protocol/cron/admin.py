"""The records of cron jobs, for an operator: read, paused, resumed, reset, forgotten.

No lock is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from consul_lock._protocol.arguments import number
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import QUICKER, TRIES_MAX, retry, too_busy
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.consul.operations import unchanged_operation
from consul_lock._protocol.cron.record import (
    UNDER_WAY,
    CronChange,
    CronPast,
    CronPause,
    CronProblem,
    CronRecord,
    CronState,
    kept,
)
from consul_lock._protocol.cron.run import check_end
from consul_lock._protocol.cron.slot import Every, Slot, parse_slot, slot_at, slot_of_id
from consul_lock._protocol.cron.store import (
    NotProved,
    RecordView,
    change_record,
    read_record,
    record_rule,
    records_below,
)
from consul_lock._protocol.flow import Flow, Job, Now, Sleep, Wall
from consul_lock._protocol.keys import CRON_SUFFIX, check_name, checked_prefix
from consul_lock._protocol.lock.lock import LockCore
from consul_lock.errors import ConfigError, Conflict, Unavailable
from consul_lock.limits import CRON_TEXT_MAX, PAUSE_MAX


class CronAdmin:
    """The questions and actions of an operator."""

    def __init__(self, client: ClientCore) -> None:
        self._client = client

    def below(self, prefix: str) -> Job[list[CronRecord | CronProblem]]:
        """All records of names that begin with a prefix."""
        prefix = checked_prefix(prefix)
        return Job(retry(self._client, lambda: self._below(prefix)))

    def _below(self, prefix: str) -> Flow[list[CronRecord | CronProblem]]:
        found = yield from self._client.api.list_keys(prefix)
        return records_below(prefix, found.pairs)

    def record(self, name: str) -> Job[CronRecord | None]:
        """One record; None: there is none."""
        return Job(self._record(_checked(name)))

    def _record(self, name: str, force: bool = False) -> Flow[CronRecord | None]:
        def once() -> Flow[CronRecord | None]:
            return (yield from read_record(self._client, name, force)).record

        return (yield from retry(self._client, once))

    def pause(
        self, name: str, duration: float | None, reason: str, by: str | None
    ) -> Job[CronRecord]:
        """Let nothing be run."""
        if duration is not None and not 0 < number("duration", duration) <= PAUSE_MAX:
            raise ConfigError(
                f"duration={duration!r} is out of range: up to {PAUSE_MAX:g} s",
                kind="value",
                settings=("duration",),
            )
        who = self._who(by)
        _check_text("reason", reason)
        return Job(self._pause(_checked(name), duration, str(reason), who))

    def _pause(self, name: str, duration: float | None, reason: str, by: str) -> Flow[CronRecord]:
        now = yield Wall()
        until = None if duration is None else now + duration
        pause = CronPause(by, now, until, reason)
        changed = CronChange("paused", by, now)
        written = yield from self._change(
            name, lambda record: replace(record, paused=pause, changed=changed)
        )
        assert written is not None
        return written

    def resume(self, name: str, by: str | None) -> Job[bool]:
        """End a pause.  The result is False if there was none."""
        return Job(self._resume(_checked(name), self._who(by)))

    def _resume(self, name: str, by: str) -> Flow[bool]:
        now = yield Wall()
        changed = CronChange("resumed", by, now)
        written = yield from self._change(
            name,
            lambda record: replace(record, paused=None, changed=changed) if record.paused else None,
        )
        return written is not None

    def reset(
        self, name: str, slot: str | float | None, by: str | None, force: bool
    ) -> Job[CronRecord | None]:
        """Forget which slot was last, or say which it was."""
        last = None
        if slot is not None:
            last = parse_slot(slot) if isinstance(slot, str) else slot_at(number("slot", slot))
        text = slot if isinstance(slot, str) else None
        return Job(self._reset(_checked(name), (last, text), self._who(by), force))

    def _reset(
        self, name: str, to: tuple[Slot | None, str | None], by: str, force: bool
    ) -> Flow[CronRecord | None]:
        now = yield Wall()
        changed = CronChange("reset", by, now)
        return (yield from self._change(name, lambda record: _reset(record, *to, changed), force))

    def add_run(
        self,
        name: str,
        state: CronState,
        code: int | None,
        started_at: float,
        runtime: float,
        lock: LockCore | None = None,
        owner: Any = None,
    ) -> Job[CronRecord]:
        """Remember a run outside of the slots; with a lock only if its owner holds it then."""
        check_end(state, code)
        about = self._client.identity.about
        past = CronPast(
            slot="",
            epoch=None,
            attempt=0,
            state=state,
            host=str(about.get("host", "")),
            claim=f"{about.get('host', '')}:{about.get('pid', 0)}:{started_at:.6f}",
            claimed_at=number("started_at", started_at),
            runtime=number("runtime", runtime),
            exit=code,
        )
        if lock is None:
            return Job(self._add_run(_checked(name), past))
        return Job(self._add_run_under(_checked(name), past, lock, owner))

    def _add_run(
        self, name: str, past: CronPast, proofs: Sequence[dict[str, Any]] = ()
    ) -> Flow[CronRecord]:
        def alter(record: CronRecord) -> CronRecord:
            history = (past, *record.history)
            done = past.state is CronState.DONE
            return replace(
                record,
                history=kept(history, len(history)),
                last_success=past.finished_at if done else record.last_success,
            )

        written = yield from self._change(name, alter, proofs=proofs)
        assert written is not None
        return written

    def _add_run_under(
        self, name: str, past: CronPast, lock: LockCore, owner: Any
    ) -> Flow[CronRecord]:
        now = yield Now()
        hold = lock.ensure(now, owner)
        refused = ""
        try:
            return (yield from self._add_run(name, past, lock.proof(hold)))
        except NotProved as error:
            refused = str(error)
        reason = yield from lock.examine(hold, None, None)
        if reason is None:
            raise Conflict(
                f"the run was not recorded under {hold.key!r}: {refused}",
                kind="guard",
                key=hold.key,
            )
        yield from lock.client.lose(hold, reason)
        raise lock.lost_error(hold)

    def forget(self, name: str) -> Job[CronRecord | None]:
        """Delete the record.  The result is what it was; None: there is none."""
        return Job(self._forget(_checked(name)))

    def _forget(self, name: str) -> Flow[CronRecord | None]:
        patience = ErrorBudget(self._client)
        return (yield from patience.bound(self._forget_it(patience, name)))

    def _forget_it(self, patience: ErrorBudget, name: str) -> Flow[CronRecord | None]:
        """Delete it only if neither it nor the run lock has changed since both were read: so a
        run that begins meanwhile is not forgotten."""
        sent: CronRecord | None = None
        for _ in range(TRIES_MAX):
            try:
                seen = yield from read_record(self._client, name)
                if seen.record is None:
                    return sent  # that of an answer that was lost
                _refuse_under_way(seen)
                sent = seen.record
                if (yield from self._delete(seen, sent)):
                    return sent
                sent = None
            except Unavailable as error:
                failed: Unavailable | None = error
            else:
                failed = None
            if failed is None:
                yield Sleep(*QUICKER)
            else:
                yield from patience.ride_out(failed)
        raise too_busy(CronRecord(name).key, "deleting")

    def _delete(self, seen: RecordView, record: CronRecord) -> Flow[bool]:
        operations = [
            unchanged_operation(f"{record.name}/.lock", seen.lock),
            {"Verb": "delete-cas", "Key": record.key, "Index": record.index},
        ]
        outcome = yield from self._client.api.transact(
            operations, f"deleting the record {record.key!r}", record_rule(record.name)
        )
        return bool(outcome.done)

    def _change(
        self,
        name: str,
        alter: Callable[[CronRecord], CronRecord | None],
        force: bool = False,
        proofs: Sequence[dict[str, Any]] = (),
    ) -> Flow[CronRecord | None]:
        known = yield from self._record(name, force)
        record = known or CronRecord(name)
        return (yield from change_record(self._client, record, alter, force=force, proofs=proofs))

    def _who(self, by: str | None) -> str:
        about = self._client.identity.about
        who = f"{about.get('user', '')}@{about.get('host', '')}" if by is None else str(by)
        _check_text("by", who)
        return who


def _refuse_under_way(seen: RecordView) -> None:
    """Raise `Conflict` if something may be running: of what is forgotten nobody would know."""
    record, lock = seen.record, seen.lock
    assert record is not None
    if lock is not None and lock.session:
        what = "its run lock is held"
    elif record.shown in UNDER_WAY:
        what = f"slot {record.slot} is {record.state.value} on {record.host}, without a run lock"
    else:
        return
    raise Conflict(
        f"{record.name!r} is not forgotten: {what}",
        hint="wait for its end; of a run that is known to be dead, reset the record first",
        kind="in-use",
        key=record.key,
    )


def _check_text(what: str, text: str) -> None:
    if len(str(text).encode("utf-8", "replace")) > CRON_TEXT_MAX:
        raise ConfigError(
            f"{what} is text, of {CRON_TEXT_MAX} bytes at most", kind="value", settings=(what,)
        )


def _of_its_kind(record: CronRecord, last: Slot, text: str | None) -> Slot:
    """The slot as the hosts of this job count: with one of the other kind none could go on."""
    if not record.slot or text is None:
        return last
    if record.epoch is None:
        return slot_of_id(text)  # it may look like a time all the same
    if last.epoch is None:
        raise ConfigError(
            f"slot={text!r} is no time with its zone, as in {record.slot!r}, which is the last one"
            f" of {record.name!r}",
            hint="if that job has IDs from now on, reset it without a slot",
            kind="value",
            settings=("slot",),
        )
    return last


def _reset(
    record: CronRecord, last: Slot | None, text: str | None, changed: CronChange
) -> CronRecord | None:
    """The record as if nobody had claimed anything, or this slot had been the last."""
    if not record.index:
        return None
    last = last and _of_its_kind(record, last, text)
    history = record.past(dead=record.crashed)
    if last is None:
        # Without its claim a run is there to be read, and keeps no ID from being run once more.
        history = tuple(past if past.extra else past._replace(claim="") for past in history)
    return CronRecord(
        record.name,
        last.label if last else "",
        last.epoch if last else None,
        claim="reset" if last else "",
        state=CronState.IDLE,
        host=record.host,
        claimed_at=record.claimed_at,
        every=record.every,
        offset=record.offset,
        schedule=record.schedule,
        overlaps=record.overlaps,
        overlapped=record.overlapped,
        paused=record.paused,
        history=history,
        changed=changed,
        skipped=record.skipped,
        # What was due stays due; of a slot that was set, only an interval says what follows.
        next_slot=record.next_slot if last is None else _following(record, last),
        last_success=record.last_success,
    )


def _following(record: CronRecord, last: Slot) -> float | None:
    if last.epoch is None or record.interval is None:
        return None
    return Every(record.interval, 0, None).following(last.epoch)


def _checked(name: str) -> str:
    check_name(name)
    return name.removesuffix(CRON_SUFFIX) or name
