"""The holder document of a semaphore or a read/write lock: who is in, and how it is written.

``NAME/.lock`` holds it.  It is never locked by a session: it changes by check-and-set only.
A semaphore's is that of HashiCorp's Go client, byte for byte.  A read/write lock's is specific to
consul-lock, and so are its flags, for Go has none.  Both are one thing: a limit, and holders that
each weigh something.  What is found under the key and is none of this is never overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.consul.replies import excerpt
from consul_lock._protocol.keys import LOCK_FLAG, READ_WRITE_FLAG, SEMAPHORE_FLAG
from consul_lock.errors import Conflict, ConflictKind

ALL = 2**31 - 1
"""What a writer weighs, and the limit of what readers and writers share."""

_INT64 = 2**63
"""A limit is below: Go reads it into an int."""

_MODES = {"read": 1, "write": ALL}
"""What the holders of a read/write lock weigh."""
_MODE_OF = {weight: mode for mode, weight in _MODES.items()}


class Kind(NamedTuple):
    """A semaphore or a read/write lock: what differs in Consul."""

    name: str
    flags: int
    folder: str
    """Where the contenders are, below the name.

    A semaphore's are where Go has them.  A read/write lock's have a folder of their own: tree
    locks lie below each other, and to read one should not be to read everything below it.
    """

    def prefix(self, name: str) -> str:
        """What is listed, to see the document and the contenders."""
        return f"{name}/{self.folder}"

    def document_key(self, name: str) -> str:
        """The key of the holder document."""
        return f"{name}/.lock"

    def contender_key(self, name: str, session: str) -> str:
        """The key that a session holds for as long as it waits or is in."""
        return f"{name}/{self.folder}/{session}" if self.folder else f"{name}/{session}"


SEMAPHORE = Kind("semaphore", SEMAPHORE_FLAG, "")
READ_WRITE = Kind("read/write lock", READ_WRITE_FLAG, ".lock")

_KNOWN = {
    LOCK_FLAG: "a lock",
    SEMAPHORE_FLAG: "a semaphore",
    READ_WRITE_FLAG: "a read/write lock",
}


class Document(NamedTuple):
    """Who is in, by session, of how much there is."""

    limit: int
    holders: Mapping[str, int]
    """What each of them weighs."""
    modify_index: int
    """Where a change is checked and set from.  0: there is no such key yet."""

    @property
    def used(self) -> int:
        """The weights of all holders together."""
        return sum(self.holders.values())


def empty(kind: Kind, limit: int) -> Document:
    """The document of a name that nobody has used yet."""
    return Document(ALL if kind is READ_WRITE else limit, {}, 0)


def decode_document(kind: Kind, pair: Pair | None, limit: int) -> Document:
    """The document in what was read; `Conflict` if it is none, or somebody else's.

    A limit that is found may be another than ``limit``: to compare is up to the caller.
    """
    fresh = empty(kind, limit)
    if pair is None:
        return fresh
    if pair.flags != kind.flags:
        about = f" (flags {pair.flags}, {len(pair.value)} bytes)"
        found = _KNOWN.get(pair.flags)
        if found is None:
            why = f"holds something else, not a {kind.name}{about}"
            raise _conflict(pair, why, "foreign")
        raise _conflict(pair, f"holds {found}, not a {kind.name}", "other-kind", about)
    if pair.session:
        why = f"is locked by session {pair.session}, which the document of a {kind.name} never is"
        raise _conflict(pair, why, "foreign")
    if not pair.value:
        return fresh._replace(modify_index=pair.modify_index)
    try:
        fields = _object(pair.value)
        read = _semaphore(fields) if kind is SEMAPHORE else _read_write(fields)
    except (ValueError, RecursionError) as error:
        why = f"is marked as a {kind.name}, but lock decoding failed: {error}"
        raise _conflict(pair, why, "damaged") from None
    return read._replace(modify_index=pair.modify_index)


def _conflict(pair: Pair, why: str, kind: ConflictKind, more: str = "") -> Conflict:
    problem = f"{pair.key!r} {why}"
    hint = "it is left alone: use another name, or delete it if nobody needs it"
    return Conflict(
        f"{problem}{more}; {hint}",
        problem=problem,
        hint=hint,
        kind=kind,
        key=pair.key,
        session=pair.session or None,
        flags=pair.flags,
    )


class _Fields(tuple[tuple[str, Any], ...]):
    """A JSON object as it was written: names in order, also those that come twice."""

    __slots__ = ()


def _object(value: bytes) -> _Fields:
    try:
        found = json.loads(
            value.decode(), object_pairs_hook=_Fields, parse_constant=_no_such_number
        )
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(found, _Fields):
        raise ValueError("it is not a JSON object")
    return found


def _no_such_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _semaphore(found: _Fields) -> Document:
    """As Go reads it: any case of the names will do, and sets of holders add up."""
    limit: Any = None
    holders: dict[str, int] = {}
    for field, value in found:
        name = field.casefold()
        if name == "limit":
            # To Go a null says nothing: what was said before stands.
            limit = limit if value is None else value
        elif name == "holders":
            holders = {**holders, **_slots(value)} if value is not None else {}
    if type(limit) is not int or not 1 <= limit < _INT64:
        shown = excerpt(json.dumps(limit).encode())
        raise ValueError(f"its Limit is {shown}, not a whole number from 1")
    return Document(limit, holders, 0)


def _slots(value: Any) -> dict[str, int]:
    if isinstance(value, list):
        raise ValueError(
            "its Holders are a list, as in HashiCorp's guide to semaphores; clients that can"
            " share it write a map of session to true"
        )
    if not isinstance(value, _Fields):
        raise ValueError("its Holders are not a map of session to true")
    # Only the presence of a session counts, even with "false": Go reads it so.
    if any(slot is not None and not isinstance(slot, bool) for _, slot in value):
        raise ValueError("its Holders map a session to something else than true")
    return dict.fromkeys((session for session, _ in value), 1)


def _read_write(found: _Fields) -> Document:
    """An unknown field is ignored, and gone with the next change.

    A newer version that wants this one to keep off has to use a mode unknown here.
    """
    holders = dict(found).get("Holders")
    if not isinstance(holders, _Fields):
        raise ValueError("its Holders are not a map of session to mode")
    return Document(ALL, {session: _weight(session, share) for session, share in holders}, 0)


def _weight(session: str, found: Any) -> int:
    told = dict(found) if isinstance(found, _Fields) else {}
    weight = weight_of(told.get("mode"))
    if weight is None:
        raise ValueError(
            f"session {session} holds it in a way unknown to this version, which may be too old"
        )
    return weight


def weight_of(mode: Any) -> int | None:
    """What a holder of a read/write lock weighs.  None: there is no such mode."""
    return _MODES.get(mode) if isinstance(mode, str) else None


def encode_document(kind: Kind, document: Document) -> bytes:
    """The value of the key: for a semaphore, just what Go writes."""
    holders: dict[str, Any] = {}
    for session, weight in sorted(document.holders.items()):
        holders[session] = True if kind is SEMAPHORE else {"mode": _MODE_OF[weight]}
    limit = {"Limit": document.limit} if kind is SEMAPHORE else {}
    return json.dumps({**limit, "Holders": holders}, separators=(",", ":")).encode()


def limit_conflict(name: str, found: int, local: int) -> Conflict:
    """Consul has another limit than this client; the wording is Go's."""
    return Conflict(
        f"semaphore limit conflict (lock: {found}, local: {local}): {name!r} has the limit"
        f" {found} in Consul",
        hint=f"use that one everywhere, or change it there with resize({local})",
        kind="limit",
        key=SEMAPHORE.document_key(name),
        flags=SEMAPHORE.flags,
        limit=found,
        wanted=local,
    )
