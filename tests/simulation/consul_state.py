"""What is in Consul at one moment: who holds how much of what, and who waits for it.

Read here anew, not by the library's own decoder: what it writes is a promise, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

LOCK_FLAG = 3304740253564472344
SEMAPHORE_FLAG = 16210313421097356768

WHOLE = 10**6
"""What a writer weighs: more than all readers there can be."""

_MODES = {"read": 1, "write": WHOLE}


class Document(NamedTuple):
    """Who holds a resource, and what each of them weighs."""

    limit: int
    holders: Mapping[str, int]
    index: int
    """ModifyIndex."""
    confirmed: bool = True
    """False: a lock that was handed over, whose new holder has not said yet that it is there."""


class Waiter(NamedTuple):
    """A contender key, of a session that waits or is in."""

    session: str
    create_index: int
    leader: str
    n: int
    weight: int
    places: int
    ours: bool


class Seen(NamedTuple):
    """One moment."""

    documents: Mapping[str, Document]
    """By name; those that are there."""
    contenders: Mapping[str, tuple[Waiter, ...]]
    """By name, in the order of their coming; also of those that are in."""
    foreign: frozenset[str]
    """Names whose key is used for something else."""

    def waiting(self, name: str) -> list[Waiter]:
        """Those of this library that are not in, the first one first."""
        held = self.documents[name].holders if name in self.documents else {}
        return [w for w in self.contenders[name] if w.ours and w.session not in held]

    def contends(self, name: str, session: str) -> bool:
        """Whether a session has its contender key."""
        return any(waiter.session == session for waiter in self.contenders[name])

    def holders(self, name: str) -> Mapping[str, int]:
        """Who holds it, and how much."""
        return self.documents[name].holders if name in self.documents else {}


class Layout(NamedTuple):
    """Where things are in Consul."""

    folder: str
    """Where the contender keys are, below the name."""
    read: Callable[[Any], Document | None]
    """The document in the entry of a key; None: it is used for something else."""


def look(layout: Layout, names: tuple[str, ...], entries: Mapping[str, Any]) -> Seen:
    """See what there is now."""
    documents, contenders, foreign = {}, {}, set()
    for name in names:
        if (entry := entries.get(f"{name}/.lock")) is not None:
            document = layout.read(entry)
            if document is None:
                foreign.add(name)
            else:
                documents[name] = document
        folder = f"{name}/{layout.folder}"
        found = [_waiter(e) for k, e in entries.items() if e.session and k == folder + e.session]
        contenders[name] = tuple(sorted(found, key=lambda waiter: waiter.create_index))
    return Seen(documents, contenders, frozenset(foreign))


def _waiter(entry: Any) -> Waiter:
    try:
        claim = json.loads(entry.value)["claim"]
        weight = _MODES.get(claim["mode"], 1)
        return Waiter(
            entry.session,
            entry.create_index,
            claim["of"],
            claim["n"],
            weight,
            claim["places"],
            ours=True,
        )
    except (ValueError, KeyError, TypeError):
        return Waiter(entry.session, entry.create_index, entry.session, 1, 1, 1, ours=False)


def _semaphore(entry: Any) -> Document | None:
    if entry.flags != SEMAPHORE_FLAG:
        return None
    found = json.loads(entry.value)
    if sorted(found) != ["Holders", "Limit"] or entry.session:
        raise AssertionError(f"not as Go writes it: {entry.value!r}")
    return Document(found["Limit"], dict.fromkeys(found["Holders"], 1), entry.modify_index)


def _read_write(entry: Any) -> Document | None:
    if entry.value[:10] != b'{"Holders"':
        return None
    holders = json.loads(entry.value)["Holders"]
    weights = {session: _MODES[share["mode"]] for session, share in holders.items()}
    return Document(WHOLE, weights, entry.modify_index)


def _lock(entry: Any) -> Document | None:
    if entry.flags != LOCK_FLAG:
        return None
    holders = {entry.session: 1} if entry.session else {}
    return Document(1, holders, entry.modify_index, b'"handed": true' not in entry.value)


SEMAPHORE = Layout("", _semaphore)
READ_WRITE = Layout(".lock/", _read_write)
LOCKS = Layout(".queue/", _lock)
