"""What a read of a lock's key means for one session: a pure predicate."""

from __future__ import annotations

import enum

from consul_lock._protocol.consul.models import Pair, ReadResult
from consul_lock._protocol.holder import read_object
from consul_lock._protocol.keys import LOCK_FLAG, READ_WRITE_FLAG, SEMAPHORE_FLAG
from consul_lock._protocol.session.session import Session
from consul_lock.errors import Conflict

# Bytes of a foreign value that an error quotes: enough to know whose it is.
_SHOWN = 40


class LockState(enum.Enum):
    """What a read of the lock's key means for one attempt."""

    OURS = "this session holds it"
    STALE = "a stale read, from before the last release of this session"
    FREE = "nobody holds it"
    TAKEN = "somebody else holds it"
    FOREIGN = "the key is used for something else"


def decide(seen: ReadResult | None, session: Session, *, certain: bool = False) -> LockState:
    """What the lock's key, as it was read, means; ``certain``: by a consistent read.

    A deposed leader answers ordinary reads for a moment: it may show this session on a key
    that it has released.  The index shows it: it is no higher than that of this client's own
    writes.
    """
    pair = seen.pair if seen else None
    if pair is None:
        return LockState.FREE
    if pair.session == session.id:
        fresh = certain or pair.modify_index > session.last_write_index
        return LockState.OURS if fresh else LockState.STALE
    if pair.session:
        # Whatever its flags: a write over a lock without taking it does not end the hold.
        return LockState.TAKEN
    return LockState.FREE if pair.flags == LOCK_FLAG else LockState.FOREIGN


def foreign(pair: Pair | None) -> Conflict:
    """The error for a key that is used for something else."""
    key, flags, value = (pair.key, pair.flags, pair.value) if pair else ("", 0, b"")
    if flags in (SEMAPHORE_FLAG, READ_WRITE_FLAG):
        return _other_kind(key, flags, value)
    return Conflict(
        f"{key!r} holds something that is not a lock (value {_quoted(value)}, flags {flags})",
        hint="it is left alone: use another name, or delete it if nobody needs it",
        kind="foreign",
        key=key,
        flags=flags,
    )


def _other_kind(key: str, flags: int, value: bytes) -> Conflict:
    """A semaphore or a read/write lock: held or free, a lock does not fit there."""
    document = read_object(value)
    limit = document.get("Limit") if flags == SEMAPHORE_FLAG else None
    limit = limit if type(limit) is int else None
    holders = document.get("Holders")
    kind = "semaphore" if flags == SEMAPHORE_FLAG else "read/write lock"
    more = "" if limit is None else f" with limit {limit}"
    held = f", held by {len(holders)}" if isinstance(holders, dict) and holders else ""
    return Conflict(
        f"{key!r} holds a {kind}{more}{held}, not a lock",
        hint="all users of a name must agree on the kind of lock; use another name, or that kind",
        kind="other-kind",
        key=key,
        flags=flags,
        limit=limit,
    )


def written_over(pair: Pair) -> str:
    """The warning of a waiter that finds other flags than those of a lock on a key that is held."""
    return (
        f"{pair.key!r} was written over (value {_quoted(pair.value)}, flags {pair.flags}) while"
        f" session {pair.session} holds it; it is waited for all the same: something writes there"
        " without acquiring it"
    )


def _quoted(value: bytes) -> str:
    """The beginning of what somebody wrote, on one line and without anything a terminal obeys."""
    text = value[:_SHOWN].decode("utf-8", "backslashreplace")
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    more = f"... of {len(value)} bytes" if len(value) > _SHOWN else ""
    return f'"{safe}"{more}'


def as_refused(key: str, refusal: str) -> Pair | None:
    """The key as the text of a refused ``check-session`` describes it."""
    if "doesn't exist" in refusal:
        return None
    other = "" if 'current session ""' in refusal else "another"
    return Pair(key, b"", 0, other, 0, 0)
