"""What keys say of the names they belong to, seen from outside: pure.

Every kind has its own way to be kept in Consul; here they are all one record.  What is none of
them is shown as it is, and never makes sense of by force.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from consul_lock._protocol.consul.models import Pair, is_session
from consul_lock._protocol.hold.waiter import parse_queue
from consul_lock._protocol.holder import Holder, parse_holder
from consul_lock._protocol.keys import (
    CRON_FLAG,
    CRON_SUFFIX,
    LOCK_FLAG,
    READ_WRITE_FLAG,
    SEMAPHORE_FLAG,
)
from consul_lock._protocol.survey.break_note import Break, latest_break, name_of_break
from consul_lock._protocol.weighted.document import ALL, READ_WRITE, SEMAPHORE, Kind
from consul_lock._protocol.weighted.layout import Contender
from consul_lock._protocol.weighted.snapshot import Snapshot, parse_snapshot
from consul_lock.errors import Conflict

_DOCUMENT, _QUEUE, _SLOTS = "/.lock", "/.queue", "/.slot"

_OF_FLAGS = {SEMAPHORE_FLAG: SEMAPHORE, READ_WRITE_FLAG: READ_WRITE}


@dataclass(frozen=True)
class Status:
    """One name as Consul has it: who holds it, and who waits for it."""

    name: str
    key: str
    """The key that is the lock, or holds the document of a semaphore or read/write lock."""
    kind: str
    """"lock" (an election and a part of a MultiLock are locks, too), "semaphore", "read-write"
    (a tree lock as well), "foreign" (something else is there), "none" (nothing is)."""
    state: str
    """"held", "free", "vanished" (all holders are dead, and the next client gets it when their
    lock-delay is over) or "unknown" (of what is foreign).  That a lock which looks free is in
    lock-delay cannot be seen by reading."""
    mode: str = ""
    """How it is held: "exclusive", "slot", "read" or "write"; empty if it is not."""
    limit: int | None = None
    """How many can hold it at once.  None: a read/write lock, which has no number, or not known."""
    holders: tuple[Holder, ...] = ()
    """In the order of their coming; those who vanished last."""
    waiters: tuple[Holder, ...] = ()
    """In the order in which they are served.  Clients that do not queue are not among them."""
    vanished: tuple[str, ...] = ()
    """The sessions among the holders' that have no key any more: their owners are dead."""
    flags: int = 0
    """Consul's mark of who uses the key."""
    value: bytes = b""
    """What is there, if it is foreign."""
    problem: str = ""
    """Why nothing can be made of it, if it is foreign."""
    last_holder: Holder | None = None
    """Who died while it held this lock, if it is free and nobody has held it since: its lock-delay,
    of up to a minute, may still run.  Only those who saw the session end, such as waiters and
    `Survey.changes`, know for how long."""
    last_break: Break | None = None
    """Who broke a hold of it last, with `Survey.break_hold`, and why; Consul forgets it after one
    to two hours."""
    index: int = field(default=0, compare=False)
    """ModifyIndex of the key; 0 if there is no such key."""
    conflict: Conflict | None = field(default=None, compare=False, repr=False)
    """The error of who would use it, if it is foreign; ``problem`` is its text."""
    hidden: bool = field(default=False, compare=False)
    """Whether Consul says that it has left out keys of what was read for this: holders and waiters
    may be missing.  Up to 1.10 it does not say so."""
    tree: bool | None = None
    """Of "read-write": whether a tree lock holds it, on this name or on one below it.  None: it is
    not known, as of a name that is free, and of one without a slash that is held for writing."""

    @property
    def held(self) -> bool:
        """Whether somebody who is alive holds it."""
        return self.state == "held"


class Keys(NamedTuple):
    """All keys of one name."""

    documents: list[Pair]
    """The lock's key, or the document: one at most."""
    queue: list[Pair]
    contenders: list[Pair]
    notes: list[Pair]
    """Of holds that somebody broke."""


def status_of_key(pair: Pair) -> tuple[str, str]:
    """The key that it belongs to, as the lock's or document's, and what it is there."""
    key, session = pair.key, pair.session
    if key.endswith(_DOCUMENT) and key != _DOCUMENT:
        return key, "document"
    broken = name_of_break(pair)
    if broken is not None:
        return f"{broken}{_DOCUMENT}", "note"
    parent, _, last = key.rpartition("/")
    if pair.flags == LOCK_FLAG:
        if key.endswith(_QUEUE) and not session:
            return f"{parent}{_DOCUMENT}", "queue"
        if parent.endswith(_QUEUE) and (last == session if session else is_session(last)):
            return f"{parent.removesuffix(_QUEUE)}{_DOCUMENT}", "queue"
    elif pair.flags == SEMAPHORE_FLAG and parent.endswith(_SLOTS):
        return f"{parent.removesuffix(_SLOTS)}{_DOCUMENT}", "contender"
    # The key of a contender that died has no session, but the name of it.
    elif last == session if session else is_session(last):
        if pair.flags == READ_WRITE_FLAG and parent.endswith(_DOCUMENT):
            return parent, "contender"
        if pair.flags == SEMAPHORE_FLAG and parent:
            return f"{parent}{_DOCUMENT}", "contender"
    return key, "document"


def statuses_in(pairs: Iterable[Pair], filtered: bool = False) -> list[Status]:
    """Make sense of all keys below a prefix, by name; nothing is raised, whatever they are.

    The prefix must not cut a name's keys apart.
    """
    return [
        replace(_status(key, keys, filtered), last_break=latest_break(keys.notes), hidden=filtered)
        for key, keys in sorted(grouped(pairs).items())
    ]


def kind_of(flags: int) -> Kind | None:
    """What a document with these flags is of."""
    return _OF_FLAGS.get(flags)


def grouped(pairs: Iterable[Pair]) -> dict[str, Keys]:
    """The keys of each name, by the key that is the lock's or document's."""
    found: dict[str, Keys] = {}
    for pair in pairs:
        if pair.flags == CRON_FLAG and pair.key.endswith(CRON_SUFFIX):
            continue  # the record of a cron job, which is no lock
        key, role = status_of_key(pair)
        keys = found.setdefault(key, Keys([], [], [], []))
        by_role = {
            "document": keys.documents,
            "queue": keys.queue,
            "contender": keys.contenders,
            "note": keys.notes,
        }
        by_role[role].append(pair)
    for key, keys in list(found.items()):
        _move_to_exact(key, keys, found)
    return found


def _move_to_exact(key: str, keys: Keys, found: dict[str, Keys]) -> None:
    """A lock on exactly one key has its queue below that key, which then has no ``.lock``."""
    if not keys.documents and not keys.contenders:
        exact = found.get(key.removesuffix(_DOCUMENT))
        if exact is not None and exact.documents[0].flags == LOCK_FLAG:
            exact.queue.extend(keys.queue)
            exact.notes.extend(keys.notes)
            del found[key]


def status_of_name(name: str, pairs: Iterable[Pair], filtered: bool = False) -> Status:
    """One name, in whatever was read of it."""
    known = {status.key: status for status in statuses_in(pairs, filtered)}
    key = f"{name}{_DOCUMENT}"
    return known.get(key) or known.get(name) or replace(_nothing(name), hidden=filtered)


def _nothing(name: str) -> Status:
    return Status(name, f"{name}{_DOCUMENT}", "none", "free")


def _status(key: str, keys: Keys, filtered: bool) -> Status:
    pair = keys.documents[0] if keys.documents else None
    name = key.removesuffix(_DOCUMENT)
    if not keys.documents and not keys.contenders and not keys.queue:
        return _nothing(name)
    flags = pair.flags if pair else (keys.contenders[0].flags if keys.contenders else LOCK_FLAG)
    try:
        if flags == LOCK_FLAG:
            return _lock(key, name, pair, keys.queue)
        kind = _OF_FLAGS.get(flags) if key.endswith(_DOCUMENT) else None
        if kind is None:
            raise Conflict(
                f"{key!r} was not written by a lock tool (flags {flags})",
                kind="unmarked",
                key=key,
                flags=flags,
            )
        everything = [*keys.documents, *keys.contenders]
        # A limit of 0 stays where none is written.
        place = parse_snapshot(kind, name, everything, 0, 0, filtered)
        return _document(key, place, flags)
    except Conflict as error:
        assert pair is not None
        return Status(
            name if pair.key.endswith(_DOCUMENT) else key,
            key,
            "foreign",
            "unknown",
            flags=flags,
            value=pair.value,
            problem=str(error),
            index=pair.modify_index,
            conflict=copy(error),  # without its traceback, which would keep the call's frames
        )


def _lock(key: str, name: str, pair: Pair | None, queue: list[Pair]) -> Status:
    holder = (
        parse_holder(pair.session, pair.value, pair.modify_index) if pair and pair.session else None
    )
    # A lock that was released in order has no key.  (Clients of Go leave theirs, without a word.)
    dead = parse_holder("", pair.value) if pair and not pair.session else None
    entries = parse_queue(f"{name}{_QUEUE}", queue).entries
    waiting = tuple(
        parse_holder(entry.session, entry.about)
        for entry in entries
        # It can be in the queue still, if it was handed the lock and did not know that it had
        # joined.
        if holder is None or entry.session != holder.session
    )
    return Status(
        name,
        key,
        "lock",
        "held" if holder else "free",
        "exclusive" if holder else "",
        1,
        (holder,) if holder else (),
        waiting,
        flags=LOCK_FLAG,
        last_holder=dead if dead and not dead.foreign else None,
        index=pair.modify_index if pair else 0,
    )


def _document(key: str, place: Snapshot, flags: int) -> Status:
    document = place.document
    gone = sorted(place.vanished())
    inside = [c for c in place.contenders if place.holds(c.session)]
    hidden = sorted(document.holders.keys() - {c.session for c in inside} - set(gone))
    holders = [parse_holder(c.session, c.about, c.modify_index) for c in inside]
    holders += [place.holder(session) for session in (*hidden, *gone)]
    semaphore = place.kind is SEMAPHORE
    waiting = [c for c in place.contenders if not place.holds(c.session) and c.session == c.leader]
    return Status(
        place.name,
        key,
        "semaphore" if semaphore else "read-write",
        "held" if len(holders) > len(gone) else "vanished" if gone else "free",
        _mode(place) if holders else "",
        document.limit or None if semaphore else None,
        tuple(holders),
        tuple(parse_holder(c.session, c.about) for c in waiting),
        tuple(gone),
        flags=flags,
        tree=None if semaphore else _tree(place),
        index=document.modify_index,
    )


def _mode(place: Snapshot) -> str:
    if place.kind is SEMAPHORE:
        return "slot"
    return "write" if ALL in place.document.holders.values() else "read"


def _tree(place: Snapshot) -> bool | None:
    """Whether a tree lock is among the holders.  It is in several documents; on a name without a
    slash it is in one, as a writer is."""
    known = {**place.left, **{c.session: c for c in place.contenders}}
    found = {_of_tree(place.name, known.get(session)) for session in place.document.holders}
    return True if True in found else None if None in found or not found else False


def _of_tree(name: str, holder: Contender | None) -> bool | None:
    if holder is None or not holder.ours:
        return None
    if holder.places == 1 and holder.weight == ALL and "/" not in name:
        return None
    return holder.places > 1
