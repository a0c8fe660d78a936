"""One try to get into the documents of a semaphore, a read/write lock or a tree lock."""

from __future__ import annotations

import json
from typing import Any

from consul_lock._protocol.consul.models import SessionOptions, base64_text
from consul_lock._protocol.flow import Signal
from consul_lock._protocol.hold.hold import Attempt, Claim
from consul_lock._protocol.holder import Holder, OwnerInfo, parse_holder
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.weighted.layout import Target
from consul_lock._protocol.weighted.snapshot import Snapshot


class Numbering:
    """The numbers of the slots that a bid has got."""

    def __init__(self) -> None:
        self.numbers: tuple[int, ...] = ()
        """One for each session; none: nobody has asked for them."""
        self.raft_index = 0
        """The index at which they were acquired: a read with a lower one is stale."""
        self.asking: Signal | None = None
        """Set when the call that asks for them has the answer."""


class WeightedAttempt(Attempt):
    """What one call of acquire has done so far."""

    def __init__(
        self,
        targets: tuple[Target, ...],
        n: int,
        about: OwnerInfo,
        session_key: tuple[SessionOptions, Any],
        owner: Any,
        blocking: bool,
    ) -> None:
        super().__init__((), about, session_key, owner, blocking)
        self.n, self.slots = n, Numbering()
        self.want(targets)
        self.group: list[Session] = []
        """The sessions, as a document has one slot for each; the first speaks for all."""
        self.limit_changes = 0
        """How many times this object had changed the limit when the attempt looked last."""
        self.asked = False
        """It was requested to contend with these sessions, whatever the outcome."""
        self.joined = False
        """The contender keys are there, as far as is known."""
        self.joined_at = 0
        """Raft index of their creation: a read with a lower one is stale."""
        self.behind: Snapshot | None = None
        """What was read when it had to wait."""
        self.snapshots: tuple[Snapshot, ...] | None = None
        """What was read last, a place for each spot; None: nothing that still counts."""
        self.certain = False
        """That read cannot have been stale."""
        self.waited: dict[str, int] = {}
        """The index that the last blocking read of a prefix answered with."""
        self.downgraded = False
        """It was a writer's, and is a reader's now."""
        self.overtaking = False
        """The caller holds some of it already, so those who wait may wait for the caller."""
        self.refusals = 0
        """Times in a row that others were quicker."""
        self.guarded: frozenset[str] = frozenset()
        """Dead holders that could not be pruned at the last try: their lock-delay is not over."""

    def want(self, targets: tuple[Target, ...]) -> None:
        """The documents to enter; to be changed before it queues for them only."""
        claims = tuple(target.claim(self.n) for target in targets)
        shared = self.session_key[1]
        if shared is not None:
            # One session is in a document once: others that share it wait for it.
            claims += tuple(Claim(f"{claim.resource} by {id(shared)}") for claim in claims)
        self.targets, self.claims, self.queues = targets, claims, claims

    @property
    def in_queue(self) -> bool:
        return self.joined

    def in_the_way(self) -> Holder | None:
        seen = self.behind
        if seen is None:
            return super().in_the_way()
        inside = (each for each in seen.contenders if seen.holds(each.session))
        first = next(inside, None)
        return None if first is None else parse_holder(first.session, first.about)

    @property
    def sessions(self) -> list[Session]:
        return self.group

    @property
    def leader(self) -> str:
        """The session that speaks for the group."""
        return self.group[0].id

    def ids(self) -> list[str]:
        """The ids of the group."""
        return [session.id for session in self.group]

    def forget_what_was_seen(self) -> None:
        self.snapshots = None

    def forget_sessions(self) -> None:
        super().forget_sessions()
        self.group = []
        self.asked = self.joined = False
        self.snapshots = None

    def value(self, target: Target, since: float, *, inside: bool = False) -> str:
        """The value of the contender key: what is wanted, and a description of this process.

        It differs after admission, so that the index of the key moves: equal content moves none.
        """
        claim = {"mode": target.mode, "places": len(self.targets), "of": self.leader, "n": self.n}
        about = self.about.value(since)
        there = '"in": true, ' if inside else ""
        return base64_text(f'{{"claim": {json.dumps(claim)}, {there}'.encode() + about[1:])
