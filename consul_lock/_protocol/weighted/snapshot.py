"""The state that was read of one semaphore or read/write lock, and its meaning: pure.

One rule decides it all: the weights of the holders, of the contenders that wait before this one
and its own fit into the limit.  So the first that does not fit holds up all behind it.  The order
is that of the contender keys' CreateIndex, which Raft gives out once and which all clients read
alike.  Time line of a lock with readers of weight 1 and a writer of the weight of the limit:

    R1 holds; the writer W comes, and waits; the reader R2 comes
    R2    would fit in beside R1, but not together with W, which is before it: R2 waits
    R1    leaves, and lets W in with the same write; W leaves, and lets R2 in

The obvious rule, to enter whenever the limit allows it, lets readers pass for ever, and W starves.
Not counted as before: a contender that has died, a group that wants more than the limit, and keys
of the Go client, which has no order: each of its clients just tries.  A contender that holds a part
of what it asks for may overtake, as those before it may wait for that part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from consul_lock._protocol.consul.models import Pair, ReadResult, is_session
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.holder import parse_holder as told
from consul_lock._protocol.weighted.document import SEMAPHORE, Document, Kind, decode_document
from consul_lock._protocol.weighted.layout import Contender, Target, parse_contender


class Snapshot(NamedTuple):
    """All that was read of one name, at one moment."""

    kind: Kind
    name: str
    document: Document
    contenders: tuple[Contender, ...]
    """In the order of their coming."""
    raft_index: int
    """To wait for a change from, in the next read."""
    filtered: bool
    """Consul has left out keys that the token may not see."""
    sessions: frozenset[str]
    """Of all keys that were listed, whatever they are."""
    left: Mapping[str, Contender] = {}
    """The keys of contenders that have died, by session: Consul keeps a key without its session.
    Dead waiters wait no more; those in the document stay there until they are pruned."""
    slots: Mapping[int, str] = {}
    """The numbers of slots that are taken, and by which session (none: by something foreign)."""
    left_slots: Mapping[int, int] = {}
    """The numbers that belonged to holders that have died, and the ModifyIndex of their keys."""

    def holds(self, session: str) -> bool:
        """Whether a session holds it."""
        return session in self.document.holders

    def contends(self, session: str) -> bool:
        """Whether the key of a session is there: it waits, or is in."""
        return any(contender.session == session for contender in self.contenders)

    def vanished(self) -> frozenset[str]:
        """Holders without any key of their session: dead, by the rule of Go's client.

        Nobody, if keys were left out of the list: everybody hidden would look dead.  When they
        may be pruned is another question: see `consul_lock._protocol.weighted.pruning`.
        """
        return frozenset() if self.filtered else frozenset(self.document.holders) - self.sessions

    def holder(self, session: str) -> Holder:
        """The details of a dead or hidden holder from its key, if that is still there."""
        left = self.left.get(session)
        return told(session, left.about) if left else Holder(session, foreign=True)

    def waiting(self) -> tuple[Contender, ...]:
        """The waiters of consul-lock, in order.  Other clients have no place: they just try."""
        return tuple(c for c in self.contenders if c.ours and not self.holds(c.session))

    def ahead(self, leader: str) -> Contender | None:
        """The last waiter before this leader's group.  None: the group is first."""
        before = _before(self, leader)
        return before[-1] if before else None


def parse_snapshot(
    kind: Kind,
    name: str,
    pairs: Iterable[Pair],
    limit: int,
    raft_index: int,
    filtered: bool = False,
) -> Snapshot:
    """Make sense of what was listed; `Conflict` if the name is used for something else.

    Other keys are ignored: those of names below this one,
    the queue of a lock, anything of others.
    """
    prefix = kind.prefix(name)
    # A transaction answers with what it wrote, without the value, and then with what it read,
    # with the value: the later one of the two counts.
    found = {pair.key: pair for pair in pairs if pair.key.startswith(prefix)}
    contenders = [
        parse_contender(kind, pair)
        for pair in found.values()
        # A plain write over it leaves it no flags, and its session.
        if pair.flags in (kind.flags, 0)
        and pair.session
        and pair.key == kind.contender_key(name, pair.session)
    ]
    slots = _slots(f"{name}/.slot/", found) if kind is SEMAPHORE else {}
    dead = {n for n, pair in slots.items() if not pair.session and pair.flags == kind.flags}
    return Snapshot(
        kind,
        name,
        decode_document(kind, found.get(kind.document_key(name)), limit),
        tuple(sorted(contenders, key=lambda c: (c.create_index, c.session))),
        raft_index,
        filtered,
        frozenset(pair.session for pair in found.values() if pair.session),
        _left(kind, name, found.values()),
        {number: pair.session for number, pair in slots.items() if number not in dead},
        {number: slots[number].modify_index for number in dead},
    )


def _left(kind: Kind, name: str, pairs: Iterable[Pair]) -> dict[str, Contender]:
    words = ((pair.key.rpartition("/")[2], pair) for pair in pairs if not pair.session)
    return {
        word: parse_contender(kind, pair._replace(session=word))
        for word, pair in words
        if pair.flags == kind.flags
        and is_session(word)
        and pair.key == kind.contender_key(name, word)
    }


def _slots(prefix: str, found: Mapping[str, Pair]) -> dict[int, Pair]:
    words = (
        (key.removeprefix(prefix), pair) for key, pair in found.items() if key.startswith(prefix)
    )
    return {int(word): pair for word, pair in words if word.isdecimal() and word.isascii()}


def _groups(contenders: Iterable[Contender]) -> dict[str, list[Contender]]:
    """By leader, in the order of the first of each."""
    groups: dict[str, list[Contender]] = {}
    for contender in contenders:
        groups.setdefault(contender.leader, []).append(contender)
    return groups


def _hopeless(group: Iterable[Contender], limit: int) -> bool:
    """It wants more than there is.

    It may have joined with another limit in mind, and leaves as soon as it sees this one; or the
    limit was lowered, and may be raised again.  Until then it must not hold up everybody behind.
    """
    return any(contender.n * contender.weight > limit for contender in group)


def _before(snapshot: Snapshot, leader: str) -> list[Contender]:
    """The waiters to be let in before a group; all waiters, if it has not joined yet."""
    before: list[Contender] = []
    for other, group in _groups(c for c in snapshot.contenders if c.ours).items():
        if other == leader:
            break
        if not _hopeless(group, snapshot.document.limit):
            before.extend(c for c in group if not snapshot.holds(c.session))
    return before


def admits(
    snapshot: Snapshot, leader: str, n: int, weight: int, *, overtaking: bool = False
) -> bool:
    """Whether a group may enter: the one rule of admission.

    ``weight`` is that of one of the ``n``; ``overtaking``: waiters do not count.
    """
    waiting = () if overtaking else _before(snapshot, leader)
    before = sum(contender.weight for contender in waiting)
    return snapshot.document.used + before + n * weight <= snapshot.document.limit


def remove_holders(snapshot: Snapshot, sessions: Iterable[str]) -> Document:
    """The document without these holders."""
    gone = frozenset(sessions)
    holders = snapshot.document.holders.items()
    return snapshot.document._replace(
        holders={session: weight for session, weight in holders if session not in gone}
    )


def add_holders(document: Document, sessions: Iterable[str], weight: int) -> Document:
    """The document with these holders; those in it already have this weight from now on."""
    return document._replace(holders={**document.holders, **dict.fromkeys(sessions, weight)})


def admit_waiters(
    snapshot: Snapshot, document: Document, leaving: frozenset[str], most: int
) -> tuple[Document, tuple[Contender, ...]]:
    """Let waiters in, in order, for as long as the rule admits: the new document, and those let in.

    ``document`` is the one to start from, without those who leave.
    A group that cannot be let in here (one that is not complete, or has to enter in other
    documents too) keeps its share free.  At most ``most`` sessions are let in.
    """
    reserved = 0
    granted: list[Contender] = []
    out = leaving | document.holders.keys()
    for group in _groups(c for c in snapshot.waiting() if c.session not in out).values():
        weight = sum(contender.weight for contender in group)
        if _hopeless(group, document.limit):
            continue
        if document.used + reserved + weight > document.limit:
            break  # and nobody behind it fits beside it
        if not all(c.n == len(group) and c.places == 1 for c in group):
            reserved += weight
        elif len(granted) + len(group) > most:
            break
        else:
            granted += group
            for contender in group:
                document = add_holders(document, [contender.session], contender.weight)
    return document, tuple(granted)


def snapshot_of(target: Target, found: ReadResult) -> Snapshot:
    """What was read of one name."""
    return parse_snapshot(
        target.kind, target.name, found.pairs, target.limit, found.raft_index, found.filtered
    )
