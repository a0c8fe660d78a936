"""A cron record as JSON, and the check whether a value is one.  Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.cron.record import (
    ADVICE,
    CronChange,
    CronPast,
    CronPause,
    CronRecord,
    CronSkip,
    CronState,
)
from consul_lock._protocol.cron.slot import Slot, slot_at, slot_of_id
from consul_lock._protocol.keys import CRON_FLAG
from consul_lock.errors import Conflict, ConsulLockError

VERSION = 1

T = TypeVar("T")

_BAD = (ValueError, TypeError, KeyError, OverflowError, RecursionError, ConsulLockError)

_PLAIN = {
    "attempt": int, "claim": str, "host": str, "pid": int, "session": str, "token": int,
    "schedule": str, "overlaps": int, "overlapped": str,
}  # fmt: skip
_NUMBERS = ("offset",)
_MAYBE = ("every", "claimed_at", "started_at", "finished_at", "runtime")


# What was added later: older records have none of it.
_ADDED: dict[str, Any] = {"next_slot": None, "gap": 0, "last_success": None}
_ADDED_TO_PAST: dict[str, Any] = {
    "every": None, "offset": 0.0, "schedule": "", "next_slot": None, "gap": 0,
}  # fmt: skip


def encode_record(record: CronRecord) -> bytes:
    """The record as it is stored."""
    plain = {what: getattr(record, what) for what in (*_PLAIN, *_NUMBERS, *_MAYBE)}
    document = {
        "v": VERSION,
        "slot": _slot_out(record.slot, record.epoch),
        "state": record.state.value,
        **plain,
        "exit": record.exit,
        "paused": record.paused._asdict() if record.paused else None,
        "changed": record.changed._asdict() if record.changed else None,
        # In the order of their addition: later ones are further down.
        "skipped": [_skip_out(skip) for skip in reversed(record.skipped)],
        "history": [_past_out(past) for past in reversed(record.history)],
        "next_slot": _time_out(record.next_slot),
        "gap": record.gap,
        "last_success": record.last_success,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _past_out(past: CronPast) -> dict[str, Any]:
    rest = past._asdict()
    del rest["epoch"]
    rest["next_slot"] = _time_out(past.next_slot)
    # What a run does not have takes no room: a record may have hundreds.
    for what, default in _ADDED_TO_PAST.items():
        if rest[what] == default:
            del rest[what]
    return {**rest, "slot": _slot_out(past.slot, past.epoch), "state": past.state.value}


def _skip_out(skip: CronSkip) -> dict[str, Any]:
    following = {} if skip.next_slot is None else {"next_slot": _time_out(skip.next_slot)}
    return {"slot": _slot_out(skip.slot, skip.epoch), "why": skip.why, **following}


def _time_out(value: float | None) -> float | None:
    return value if value is None or value != int(value) else int(value)


def _slot_out(slot: str, epoch: float | None) -> float | str | None:
    if epoch is None:
        return slot or None
    return int(epoch) if epoch == int(epoch) else epoch


def decode_record(pair: Pair, name: str) -> CronRecord:
    """The record in a key.  Raises `Conflict` for what is none, or of a newer version."""
    if pair.flags != CRON_FLAG:
        raise _not_ours(pair, f"it was not written by a cron guard (flags {pair.flags})")
    try:
        document = json.loads(pair.value)
        version = document["v"]
        if type(version) is not int or version < 1:
            raise ValueError(f"version {version!r}")
    except _BAD as error:
        raise _not_ours(pair, f"it is no cron record ({_why(error)})") from error
    if version > VERSION:
        raise _not_ours(
            pair,
            f"it is of version {version}, written by a newer consul-lock; this one knows"
            f" {VERSION}: upgrade this host",
        )
    try:
        return _record(document, name, pair.modify_index)
    except _BAD as error:
        raise _not_ours(pair, f"it is a damaged cron record ({_why(error)})") from error


def _why(error: Exception) -> str:
    missing = "no " if isinstance(error, KeyError) else ""
    return f"{missing}{str(error)[:80]}"


def _not_ours(pair: Pair, why: str) -> Conflict:
    return Conflict(
        f"{pair.key!r}: {why}",
        hint=ADVICE,
        kind="cron-record",
        key=pair.key,
        flags=pair.flags,
    )


def _record(document: dict[str, Any], name: str, index: int) -> CronRecord:
    slot = _slot_in(document["slot"])
    paused, changed = document["paused"], document["changed"]
    plain: dict[str, Any] = {what: _typed(document, what, kind) for what, kind in _PLAIN.items()}
    plain |= {what: _number(document, what) for what in _NUMBERS}
    plain |= {what: _maybe(document, what, _number) for what in _MAYBE}
    added = {**_ADDED, **document}
    return CronRecord(
        name=name,
        slot=slot.label,
        epoch=slot.epoch,
        state=CronState(document["state"]),
        **plain,
        exit=_maybe(document, "exit", _whole),
        paused=None if paused is None else _pause(paused),
        history=tuple(_past(past) for past in reversed(_typed(document, "history", list))),
        changed=None if changed is None else _change(changed),
        index=index,
        # Records of earlier versions have none.
        skipped=tuple(
            _skip(skip) for skip in reversed(_typed({"skipped": [], **document}, "skipped", list))
        ),
        next_slot=_maybe(added, "next_slot", _calendar),
        gap=_whole(added, "gap"),
        last_success=_maybe(added, "last_success", _number),
    )


def _pause(document: dict[str, Any]) -> CronPause:
    return CronPause(
        _typed(document, "by", str),
        _number(document, "at"),
        _maybe(document, "until", _number),
        _typed(document, "reason", str),
    )


def _change(document: dict[str, Any]) -> CronChange:
    return CronChange(
        _typed(document, "what", str), _typed(document, "by", str), _number(document, "at")
    )


def _skip(document: dict[str, Any]) -> CronSkip:
    slot = _slot_in(document["slot"])
    following = _maybe({"next_slot": None, **document}, "next_slot", _calendar)
    return CronSkip(slot.label, slot.epoch, _typed(document, "why", str), following)


def _past(document: dict[str, Any]) -> CronPast:
    slot = _slot_in(document["slot"])
    added = {**_ADDED_TO_PAST, **document}
    return CronPast(
        slot.label,
        slot.epoch,
        _whole(document, "attempt"),
        CronState(document["state"]),
        _typed(document, "host", str),
        _typed(document, "claim", str),
        _number(document, "claimed_at"),
        _maybe(document, "runtime", _number),
        _maybe(document, "exit", _whole),
        _maybe(added, "every", _number),
        _number(added, "offset"),
        _typed(added, "schedule", str),
        _maybe(added, "next_slot", _calendar),
        _whole(added, "gap"),
    )


def _slot_in(value: Any) -> Slot:
    if value is None:
        return Slot("", None)
    if isinstance(value, str):
        return slot_of_id(value)
    return slot_at(_number({"slot": value}, "slot"))


def _typed(document: dict[str, Any], what: str, kind: type[T]) -> T:
    value = document[what]
    if type(value) is not kind or (isinstance(value, int) and abs(value) >= 2**63):
        raise TypeError(f"{what} is {value!r}")
    return value


def _whole(document: dict[str, Any], what: str) -> int:
    return _typed(document, what, int)


def _number(document: dict[str, Any], what: str) -> float:
    value = document[what]
    if type(value) not in (int, float) or value != value or abs(value) == float("inf"):
        raise TypeError(f"{what} is {value!r}")
    return float(value)


def _calendar(document: dict[str, Any], what: str) -> float:
    """A time that a calendar has."""
    return slot_at(_number(document, what)).epoch or 0.0


def _maybe(
    document: dict[str, Any], what: str, read_it: Callable[[dict[str, Any], str], T]
) -> T | None:
    return None if document[what] is None else read_it(document, what)
