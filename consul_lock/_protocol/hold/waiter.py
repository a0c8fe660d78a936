"""The queue of a lock: who waits, in which order, kept in Consul.

``BASE/<session>`` is the entry of a waiter, locked by its session; its value is about the waiter.
When the waiter dies it stays, without the session: it counts as gone at once, and the next one who
writes to the queue anyway deletes it.  ``BASE`` itself is the sign that somebody waits: each
waiter that joins writes it anew, so its index shows a releaser whether it has seen all waiters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from consul_lock._protocol.consul.models import Pair, is_session
from consul_lock._protocol.holder import VALUE_MAX, read_object
from consul_lock._protocol.keys import LOCK_FLAG, entry_key

DEAD_MAX = 24
"""Entries of dead waiters that one transaction deletes, beside what it is for."""


# Waiters named to the next holder: about as many as fit.
_HINTS_MAX = 10


class WaiterEntry(NamedTuple):
    """A waiter."""

    session: str
    about: str
    """JSON about the waiter, for the value of the lock once it is handed over."""
    create_index: int
    """Raft index of its joining: the order of the queue.  0 where it was handed down."""
    modify_index: int
    """Distinguishes this entry from a later one of the same waiter."""


class DeadWaiter(NamedTuple):
    """The entry of a waiter that has died."""

    key: str
    modify_index: int


class WaiterQueue(NamedTuple):
    """The queue as it was read, or as the previous holder knew it."""

    entries: tuple[WaiterEntry, ...]
    """In order.  Nobody can come in front of them, but any of them may have left."""
    sign: int
    """ModifyIndex of the sign, 0 if there is none or it is not known."""
    dead: tuple[DeadWaiter, ...] = ()
    """The entries of waiters that have died."""

    def behind(self, session: str) -> WaiterQueue:
        """What is left without this waiter.

        The holder itself can be in the queue still, if the answer to its joining was lost: to hand
        the lock over to itself would leave it locked, unnoticed.
        """
        return self._replace(entries=tuple(e for e in self.entries if e.session != session))

    def before(self, session: str) -> tuple[WaiterEntry, ...]:
        """The waiters before this one, in order.  KeyError: it is not in the queue."""
        for place, entry in enumerate(self.entries):
            if entry.session == session:
                return self.entries[:place]
        raise KeyError(session)


def parse_queue(base: str, pairs: Iterable[Pair]) -> WaiterQueue:
    """The queue in what was read below ``base``.  Other keys are ignored."""
    sign, entries, dead = 0, {}, list[DeadWaiter]()
    for pair in pairs:
        if pair.key == base:
            sign = max(sign, pair.modify_index)
        elif is_dead_waiter(base, pair):
            dead.append(DeadWaiter(pair.key, pair.modify_index))
        elif pair.session and pair.key == entry_key(base, pair.session):
            # A transaction answers with what it wrote, without the value, and then with what
            # it read, with the value: the later one of the two counts.
            entry = WaiterEntry(
                pair.session, _text(pair.value), pair.create_index, pair.modify_index
            )
            entries[pair.session] = entry
    ordered = sorted(entries.values(), key=lambda entry: entry.create_index)
    return WaiterQueue(tuple(ordered), sign, tuple(dead))


def is_dead_waiter(base: str, pair: Pair) -> bool:
    """Whether this is the entry of a waiter that has died."""
    folder, _, name = pair.key.rpartition("/")
    ours = folder == base and pair.flags == LOCK_FLAG and is_session(name)
    return ours and not pair.session


def delete_dead(dead: Iterable[DeadWaiter]) -> list[dict[str, Any]]:
    """The operations that delete entries of dead waiters, as many as one transaction deletes.

    They are refused by nothing that others may do meanwhile: nobody writes to such an entry, and
    to delete one that is gone is no fault.
    """
    some = list(dict.fromkeys(dead))[:DEAD_MAX]
    return [{"Verb": "delete-cas", "Key": each.key, "Index": each.modify_index} for each in some]


def clear_queue(base: str, queue: WaiterQueue) -> list[dict[str, Any]]:
    """The operations that take away the sign of a queue without waiters, and the dead: refused if
    somebody has joined since.

    The sign stays if there are too many dead for one transaction, so that the next one meets them.
    """
    operations = delete_dead(queue.dead)
    if queue.sign:
        verb = "delete-cas" if len(queue.dead) <= DEAD_MAX else "check-index"
        operations.append({"Verb": verb, "Key": base, "Index": queue.sign})
    return operations


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def join_operations(
    base: str, session: str, flags: int, about: str, sign: str
) -> list[dict[str, Any]]:
    """The operations that enter the queue and read it."""
    return [
        {
            "Verb": "lock",
            "Key": entry_key(base, session),
            "Session": session,
            "Flags": flags,
            "Value": about,
        },
        {"Verb": "set", "Key": base, "Flags": flags, "Value": sign},
        {"Verb": "get-tree", "Key": base},
    ]


def leave_operations(base: str, session: str, dead: Iterable[DeadWaiter]) -> list[dict[str, Any]]:
    """The operations that leave the queue: refused if the entry is not there any more."""
    key = entry_key(base, session)
    return [
        {"Verb": "check-session", "Key": key, "Session": session},
        {"Verb": "delete", "Key": key},
        *delete_dead(dead),
    ]


def handed_over_value(entry: WaiterEntry, rest: WaiterQueue, since: float) -> bytes:
    """The value of a lock that is handed to a waiter: about it, that it has not confirmed it yet,
    and who comes next.

    As many of the next waiters as fit are named, so that the new holder can hand over in its
    turn without reading the queue.  Their descriptions are passed on as text, not parsed.
    """
    about = read_object(entry.about)
    about["since"] = round(since, 3)
    following = [
        [waiter.session, waiter.about, waiter.modify_index] for waiter in rest.entries[:_HINTS_MAX]
    ]
    while True:
        value = json.dumps({**about, "handed": True, "next": following}).encode()
        if len(value) <= VALUE_MAX or not following:
            return value
        following.pop()


def told_waiters(pair: Pair) -> WaiterQueue:
    """The next waiters, as the previous holder knew them."""
    told = read_object(pair.value).get("next")
    entries = list[WaiterEntry]()
    for item in told if isinstance(told, list) else ():
        match item:
            case [str(session), str(about), int(index)]:
                entries.append(WaiterEntry(session, about, 0, index))
            case _:
                break  # of another version: those behind must not come before it
    return WaiterQueue(tuple(entries), 0)
