"""Who contends for a semaphore or a read/write lock, as its key shows."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeGuard

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.hold.hold import Claim
from consul_lock._protocol.holder import read_object
from consul_lock._protocol.weighted.document import READ_WRITE, Kind, weight_of


class Contender(NamedTuple):
    """A session that waits, or is in."""

    session: str
    create_index: int
    """Raft index of its coming: the order in which they wait."""
    modify_index: int
    ours: bool
    """It is of this library: it sees when it is put into the document.  A Go client does not."""
    leader: str
    """Who of its group speaks for it: the sessions of a group enter together, or none."""
    n: int
    """How many the group are."""
    weight: int
    """Of this one session."""
    places: int
    """In how many documents it has to enter at once: a tree lock is in several."""
    about: str
    """The value of its key: JSON about it."""


def parse_contender(kind: Kind, pair: Pair) -> Contender:
    """What a contender says of itself; whatever is in it, nothing is raised."""
    text = pair.value.decode("utf-8", "replace")
    told = read_object(text)
    foreign = Contender(
        pair.session,
        pair.create_index,
        pair.modify_index,
        ours=False,
        leader=pair.session,
        n=1,
        weight=1,
        places=1,
        about=text,
    )
    claim = told.get("claim")
    claim = claim if isinstance(claim, dict) else {}
    leader, n, places = claim.get("of"), claim.get("n"), claim.get("places")
    weight = weight_of(claim.get("mode")) if kind is READ_WRITE else 1
    if not (weight and leader and isinstance(leader, str) and _count(n) and _count(places)):
        return foreign
    return foreign._replace(ours=True, leader=leader, n=n, weight=weight, places=places)


def _count(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 1


class Target(NamedTuple):
    """A document to enter, and how."""

    kind: Kind
    name: str
    mode: str
    limit: int

    @property
    def weight(self) -> int:
        """What one session weighs there."""
        return weight_of(self.mode) or 1

    @property
    def prefix(self) -> str:
        """What is listed, to see the document and its contenders."""
        return self.kind.prefix(self.name)

    @property
    def document_key(self) -> str:
        """The key of the document."""
        return self.kind.document_key(self.name)

    def contender_key(self, session: str) -> str:
        """The key of one contender."""
        return self.kind.contender_key(self.name, session)

    def claim(self, n: int) -> Claim:
        """The same, for the queue inside the process."""
        return Claim(f"{self.document_key} {self.kind.name}", n * self.weight, self.limit)
