"""Leftovers of the dead: keys that nobody holds, and that no client may ever meet again.

Consul keeps the keys of a session that ends, without the session.  The next client of the same
name deletes them; those of a name that nobody uses any more stay, until `Cleaning` deletes them.

The entry of a dead waiter, a contender that was never in, the sign of an empty queue
and a document without holders protect nothing: they are deleted by the index that was read.  The
key of a lock, the number of a slot and a dead holder's place in a document do protect something
for as long as their lock-delay runs.  Deleting such a key could end that:

    the session of a cut-off holder ends, its lock-delay begins
    somebody deletes the key, as nobody holds it
    a newcomer's [check-not-exists, lock], admitted before the end, is applied: two holders

So it is first locked with a session made for that, which Consul refuses during any lock-delay,
and deleted in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import retry
from consul_lock._protocol.consul.models import Pair, ReadResult, SessionOptions, key_rule
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Flow, Job
from consul_lock._protocol.hold.waiter import is_dead_waiter, parse_queue
from consul_lock._protocol.holder import Holder, parse_holder
from consul_lock._protocol.keys import LOCK_FLAG, slot_key
from consul_lock._protocol.survey.status import grouped, kind_of
from consul_lock._protocol.weighted.document import Kind
from consul_lock._protocol.weighted.layout import Target
from consul_lock._protocol.weighted.operations import delete_document, write_document
from consul_lock._protocol.weighted.pruning import expiry_check
from consul_lock._protocol.weighted.snapshot import Snapshot, parse_snapshot, remove_holders
from consul_lock.errors import Conflict, ConsulLockError

# Seconds: longer than a cleaning takes; it holds nothing with that session at any time.
_TTL = 3600.0

# The order in which the keys of a name are deleted.
_ORDER = ("holder", "slot", "contender", "waiter", "lock", "sign", "document")


@dataclass(frozen=True)
class Leftover:
    """A key that nobody holds."""

    name: str
    """The lock that it belongs to."""
    key: str
    what: str
    """"lock" (of a holder that died), "waiter" (its entry in the queue), "contender" (for a
    document that it was not in), "holder" (it is still in one), "slot" (a number), "sign" (of an
    empty queue) or "document" (without holders)."""
    holder: Holder | None
    """Who has died; None: nobody, or that is not known."""
    index: int
    """ModifyIndex of the key; 0: that of a holder whose key is gone."""


@dataclass(frozen=True)
class Cleaned:
    """The outcome for one of them."""

    leftover: Leftover
    outcome: str
    """"deleted"; "delayed": its lock-delay runs, so it still protects a lock; "changed": it is
    in use again."""


def leftovers(prefix: str, found: ReadResult) -> list[Leftover]:
    """Those in what was read below a prefix, by name."""
    if found.filtered:
        return []  # hidden holders look dead
    seen = list[Leftover]()
    for key, keys in sorted(grouped(found.pairs).items()):
        name = key.removesuffix("/.lock")
        if f"{name}/".startswith(prefix):
            seen += _of_queue(name, keys.queue)
            seen += _of_lock(name, keys.documents)
            seen += _of_document(key, name, [*keys.documents, *keys.contenders])
    return seen


def _of_queue(name: str, pairs: Sequence[Pair]) -> list[Leftover]:
    base = f"{name}/.queue"
    queue = parse_queue(base, pairs)
    seen = [_left(name, p, "waiter", _last(p.key)) for p in pairs if is_dead_waiter(base, p)]
    if queue.sign and not queue.entries:
        seen.append(Leftover(name, base, "sign", None, queue.sign))
    return seen


def _of_lock(name: str, pairs: Sequence[Pair]) -> list[Leftover]:
    # The key of others may have a value that they need: it is left alone.
    return [
        _left(name, pair, "lock", "")
        for pair in pairs
        if pair.flags == LOCK_FLAG
        and not pair.session
        and not (pair.value and parse_holder("", pair.value).foreign)
    ]


def _of_document(key: str, name: str, pairs: Sequence[Pair]) -> list[Leftover]:
    kind = kind_of(pairs[0].flags) if pairs and key.endswith("/.lock") else None
    if kind is None:
        return []
    try:
        place = parse_snapshot(kind, name, pairs, 0, 0)
    except Conflict:
        return []
    seen, holders = list[Leftover](), place.document.holders
    for session in sorted({*place.vanished(), *place.left}):
        left = place.left.get(session)
        what = "holder" if session in holders else "contender"
        where, index = kind.contender_key(name, session), left.modify_index if left else 0
        seen.append(Leftover(name, where, what, place.holder(session), index))
    for number, index in sorted(place.left_slots.items()):
        seen.append(Leftover(name, slot_key(name, number), "slot", None, index))
    index = place.document.modify_index
    if index and not (holders.keys() - place.vanished()) and not place.contenders:
        seen.append(Leftover(name, kind.document_key(name), "document", None, index))
    return seen


def _left(name: str, pair: Pair, what: str, session: str) -> Leftover:
    was = parse_holder(session, pair.value)
    return Leftover(name, pair.key, what, None if was.foreign else was, pair.modify_index)


def _last(key: str) -> str:
    return key.rpartition("/")[2]


class _Prune(NamedTuple):
    """A document, as it was read now."""

    target: Target
    place: Snapshot


class Cleaning:
    """One call of it."""

    def __init__(self, client: ClientCore, chosen: Iterable[Leftover]) -> None:
        self._client = client
        self._chosen = sorted(chosen, key=lambda each: (each.name, _ORDER.index(each.what)))
        self._session = ""

    def job(self) -> Job[list[Cleaned]]:
        """Take them away: what became of each."""
        return Job(self._clean(), self._end)

    def _clean(self) -> Flow[list[Cleaned]]:
        cleaned = list[Cleaned]()
        for each in self._chosen:
            outcome = yield from retry(self._client, partial(self._one, each))
            cleaned.append(Cleaned(each, outcome))
        yield from self._end()
        return cleaned

    def _end(self) -> Flow[None]:
        session, self._session = self._session, ""
        if session:
            try:
                yield from self._client.api.destroy(session)
            except ConsulLockError:
                pass  # it holds nothing, and its time runs out

    def _own_session(self) -> Flow[str]:
        if not self._session:
            label = f"{self._client.identity.label} cleans"
            terms = SessionOptions(_TTL, 0.0, (), (), None)
            self._session, _ = yield from self._client.api.create_session(terms, label)
        return self._session

    def _one(self, each: Leftover) -> Flow[str]:
        operations = yield from self._operations(each)
        if not operations:
            return "changed"
        doing, rule = f"taking {each.key!r} away", key_rule(f"{each.name}/")
        outcome = yield from self._client.api.transact(operations, doing, rule)
        return _outcome(outcome)

    def _operations(self, each: Leftover) -> Flow[list[dict[str, Any]]]:
        where = {"Key": each.key, "Index": each.index}
        check = {"Verb": "check-index", **where}
        if each.what in ("holder", "document"):
            return (yield from self._of_document(each))
        if each.what not in ("lock", "slot"):
            return [check, {"Verb": "delete-cas", **where}]
        session = yield from self._own_session()
        lock = {"Verb": "lock", "Key": each.key, "Session": session, "Flags": LOCK_FLAG}
        return [check, lock, {"Verb": "delete", "Key": each.key}]

    def _of_document(self, each: Leftover) -> Flow[list[dict[str, Any]]]:
        seen = yield from self._read(each.name)
        if seen is None:
            return []
        target, place = seen
        if each.what == "document":
            idle = not place.document.holders and not place.contenders
            return delete_document(target, place) if idle and place.document.modify_index else []
        dead = _last(each.key)
        if dead not in place.vanished():
            return []
        session = yield from self._own_session()
        return [
            *expiry_check(target, dead, session),
            write_document(target, place, remove_holders(place, [dead])),
        ]

    def _read(self, name: str) -> Flow[_Prune | None]:
        found = yield from self._client.api.get(f"{name}/.lock", consistent=True)
        kind: Kind | None = kind_of(found.pair.flags) if found.pair else None
        if kind is None:
            return None
        target = Target(kind, name, "", 0)
        tree = yield from self._client.api.list_keys(target.prefix, consistent=True)
        try:
            place = parse_snapshot(kind, name, tree.pairs, 0, tree.raft_index, tree.filtered)
        except Conflict:
            return None
        return None if tree.filtered else _Prune(target, place)


def _outcome(outcome: TxnResult) -> str:
    if outcome.done or outcome.says("doesn't exist"):
        return "deleted"  # or an earlier try, whose answer was lost, has done it
    return "delayed" if outcome.delayed else "changed"
