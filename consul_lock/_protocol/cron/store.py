"""Reading the record of a cron job, and changing it by check-and-set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import QUICKER, TRIES_MAX, too_busy
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.consul.models import Pair, base64_text, key_rule
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.cron.codec import decode_record, encode_record
from consul_lock._protocol.cron.record import UNDER_WAY, CronProblem, CronRecord
from consul_lock._protocol.flow import Flow, Now, Sleep
from consul_lock._protocol.keys import CRON_FLAG, CRON_SUFFIX
from consul_lock.errors import Conflict, Unavailable

# Seconds of one blocking read, and the pause after one that came back at once.
_POLL, _PAUSE = 10.0, (0.05, 0.1)


class NotProved(Exception):
    """A write was refused, as what was to be proved with it is not so."""

    def __init__(self, outcome: TxnResult) -> None:
        super().__init__(outcome.reasons)
        self.outcome = outcome


Alter = Callable[[CronRecord], CronRecord | None]
"""What is to become of the record as it is; None: nothing."""


class RecordView(NamedTuple):
    """The record and the run lock, at one moment."""

    record: CronRecord | None
    lock: Pair | None


def read_record(client: ClientCore, name: str, force: bool = False) -> Flow[RecordView]:
    """Read both, in one read.

    Raises `Conflict` for a record that is none, or of a newer version; ``force`` takes it for an
    empty one.
    """
    keys = (f"{name}/.lock", f"{name}{CRON_SUFFIX}")
    operations = [{"Verb": "get-tree", "Key": key} for key in keys]
    doing = f"reading the record {keys[1]!r}"
    outcome = yield from client.api.transact(operations, doing, key_rule(f"{name}/", "read"))
    return _sight(name, {pair.key: pair for pair in outcome.pairs}, force)


def records_below(prefix: str, found: Iterable[Pair]) -> list[CronRecord | CronProblem]:
    """The records among all that was read below a prefix, without those that it cuts apart."""
    pairs = {pair.key: pair for pair in found}
    names = [key.removesuffix(CRON_SUFFIX) for key in pairs if key.endswith(CRON_SUFFIX)]
    return [_told(name, pairs) for name in names if name and f"{name}/".startswith(prefix)]


def _told(name: str, pairs: Mapping[str, Pair]) -> CronRecord | CronProblem:
    try:
        record = _sight(name, pairs).record
        assert record is not None
    except Conflict as error:
        return CronProblem(name, f"{name}{CRON_SUFFIX}", str(error))
    return record


def _sight(name: str, pairs: Mapping[str, Pair], force: bool = False) -> RecordView:
    """What was read, made sense of."""
    lock, pair = pairs.get(f"{name}/.lock"), pairs.get(f"{name}{CRON_SUFFIX}")
    try:
        record = decode_record(pair, name) if pair else None
    except Conflict:
        if not force:
            raise
        record = CronRecord(name, index=pair.modify_index if pair else 0)
    return RecordView(judged(record, lock) if record else None, lock)


def wait_for_news(client: ClientCore, name: str, seen: RecordView, wait: float) -> Flow[None]:
    """Wait until there is something new, so many seconds at most.

    A run begins, ends and dies with a change of its lock; only a run without one is seen by its
    record alone.
    """
    key, index = f"{name}{CRON_SUFFIX}", seen.record.index if seen.record else 0
    if seen.lock is not None:
        key, index = seen.lock.key, seen.lock.modify_index
    asked = yield Now()
    if index:
        yield from client.api.get(key, index, min(wait, _POLL))
    now = yield Now()
    if now - asked < _PAUSE[0]:
        yield Sleep(*_PAUSE)


def judged(record: CronRecord, lock: Pair | None) -> CronRecord:
    """The record, with what the run lock says of its run."""
    alive = lock is not None and lock.session == record.session
    crashed = record.state in UNDER_WAY and bool(record.session) and not alive
    return replace(record, crashed=crashed)


def record_write(record: CronRecord, index: int) -> dict[str, Any]:
    """The operation that writes it, over the very record that was read; 0: if there is none."""
    value = base64_text(encode_record(record))
    return {"Verb": "cas", "Key": record.key, "Value": value, "Index": index, "Flags": CRON_FLAG}


def record_rule(name: str) -> str:
    """The ACL rule that is needed to write it."""
    return key_rule(f"{name}/")


def change_record(
    client: ClientCore,
    known: CronRecord,
    alter: Alter,
    within: float | None = None,
    force: bool = False,
    proofs: Sequence[dict[str, Any]] = (),
) -> Flow[CronRecord | None]:
    """Alter the record.  Returns what was written; None: there is nothing to be changed.

    Errors of Consul are retried for ``within`` seconds (None: the client's ``retry_for``).
    ``force``: also what is no record.  ``proofs``: operations of the same transaction; raises
    `NotProved` if one of them is refused.
    """
    patience = ErrorBudget(client, within=within)
    return patience.bound(_change(patience, client, known, alter, force, proofs))


def _change(
    patience: ErrorBudget,
    client: ClientCore,
    known: CronRecord,
    alter: Alter,
    force: bool,
    proofs: Sequence[dict[str, Any]],
) -> Flow[CronRecord | None]:
    record, altered, unanswered = known, None, False
    for _ in range(TRIES_MAX):
        try:
            if altered is not None:
                seen = yield from read_record(client, known.name, force)
                record = seen.record or CronRecord(known.name)
                # Only then: else another client has written just the same.
                if unanswered and _same(altered, record):
                    return record  # it was written, and the answer was lost
                yield Sleep(*QUICKER)
            altered = alter(record)
            if altered is None:
                return None
            written = yield from _write(client, altered, record.index, proofs)
        except Unavailable as error:
            failed: Unavailable | None = error
        else:
            failed = None
            if written is not None:
                return written
        if failed is not None:
            unanswered = True
            yield from patience.ride_out(failed)
    raise too_busy(known.key, "writing")


def _same(altered: CronRecord, record: CronRecord) -> bool:
    return replace(altered, index=record.index, crashed=record.crashed) == record


def _write(
    client: ClientCore, altered: CronRecord, index: int, proofs: Sequence[dict[str, Any]]
) -> Flow[CronRecord | None]:
    doing = f"writing the record {altered.key!r}"
    outcome = yield from client.api.transact(
        [*proofs, record_write(altered, index)], doing, record_rule(altered.name)
    )
    if proofs and outcome.refusals(0, len(proofs)):
        raise NotProved(outcome)
    return replace(altered, index=outcome.raft_index) if outcome.done else None
