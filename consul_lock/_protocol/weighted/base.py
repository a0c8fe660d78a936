"""What semaphores, read/write locks and tree locks share: documents that list their holders.

An attempt creates a contender key, locked by its session, and enters a document by
check-and-set, in a transaction in which Consul checks the contender key too.  The kinds differ
in what they claim (see `Claim`), and in nothing else.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import Pair, ReadResult, key_rule
from consul_lock._protocol.consul.operations import check_session
from consul_lock._protocol.consul.replies import TXN_OPERATIONS_MAX
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.holder import Holder, parse_holder
from consul_lock._protocol.keys import slot_key
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.document import Document, decode_document
from consul_lock._protocol.weighted.layout import Target
from consul_lock._protocol.weighted.snapshot import Snapshot, snapshot_of
from consul_lock.errors import Conflict, ConsulLockError, LossReason


class WeightedBase(Lockable):
    """Something with a document of its holders.  One object can be held several times over."""

    operations_max = TXN_OPERATIONS_MAX
    kind = "read-write"

    def __init__(self, client: ClientCore, name: str, settings: Settings) -> None:
        super().__init__(client, name, f"{name}/.lock", settings)
        self.rule = key_rule(f"{name}/")
        self.limit = 1

    @abstractmethod
    def targets(self) -> tuple[Target, ...]:
        """The documents to enter."""

    limit_changes = 0
    """How many times the limit was changed, by others or through this object."""

    def agrees(self, limit: int) -> bool:
        """Whether a limit that was found in Consul is that of this object."""
        return limit == self.limit

    def adopt(self, limit: int) -> None:
        """Others have changed the limit."""

    def begin_to_enter(self, attempt: WeightedAttempt, document: Document) -> bool:
        """A write of this attempt begins that enters this document.  False: it would bring an old
        limit along."""
        return True

    def end_of_entering(self, attempt: WeightedAttempt) -> None:
        """That write was answered, or failed."""

    # -- getting and letting go ------------------------------------------------------------------

    def attempt(self, owner: Any, blocking: bool, n: int = 1) -> WeightedAttempt:
        return WeightedAttempt(
            self.targets(), n, self.about_now(), (self.terms, self.shared), owner, blocking
        )

    def refresh(self, attempt: WeightedAttempt) -> None:
        attempt.want(self.targets())

    ends_session = leaves_traces = True

    # -- looking after it ------------------------------------------------------------------------

    def proof(self, hold: Hold) -> list[dict[str, Any]]:
        return [*_alive(hold), *({"Verb": "get", "Key": s.document_key} for s in _targets(hold))]

    def disproved(self, hold: Hold, pairs: Sequence[Pair]) -> bool:
        for target in _targets(hold):
            pair = next((p for p in reversed(pairs) if p.key == target.document_key), None)
            try:
                document = decode_document(target.kind, pair, target.limit)
            except Conflict:
                return True
            if any(session.id not in document.holders for session in hold.sessions):
                return True
        return False

    def examine(self, hold: Hold, found: ReadResult | None, timeout: float | None) -> Flow[Any]:
        targets, given = _targets(hold), found is not None
        if found is not None:
            targets = targets[-1:]
        else:
            found = yield from read_targets(self, targets, certain=True, timeout=timeout)
        try:
            seen = tuple(snapshot_of(target, found) for target in targets)
        except Conflict:
            return LossReason.STOLEN
        ids = [session.id for session in hold.sessions]
        # An answer to a request from before the slots had indexes does not show those.
        old = (
            [snapshot.raft_index < _attempt(hold).slots.raft_index for snapshot in seen]
            if given
            else []
        )
        numbered = any(old) or all(_numbered(hold, snapshot) for snapshot in seen)
        if numbered and all(
            snapshot.holds(s) and snapshot.contends(s) for snapshot in seen for s in ids
        ):
            return None
        return (yield from self.why(hold, seen, timeout))

    def why(
        self, hold: Hold, seen: tuple[Snapshot, ...], timeout: float | None = None
    ) -> Flow[LossReason]:
        """Why it is lost, given what was read."""
        try:
            for session in hold.sessions:
                if (yield from self.client.api.renew(session.id, timeout)) is None:
                    return LossReason.SESSION_INVALID
        except ConsulLockError:
            pass  # not known: judge by the keys alone
        ids = [session.id for session in hold.sessions]
        there = all(snapshot.contends(session) for snapshot in seen for session in ids)
        there = there and all(_numbered(hold, snapshot) for snapshot in seen)
        if not there or any(not snapshot.document.modify_index for snapshot in seen):
            return LossReason.KEY_DELETED
        weights = [(target, len(ids) * target.weight) for target in _targets(hold)]
        full = [
            snapshot.document.used + weight > snapshot.document.limit
            for target, weight in weights
            for snapshot in seen
            if snapshot.name == target.name and not all(snapshot.holds(session) for session in ids)
        ]
        return LossReason.STOLEN if any(full) else LossReason.REVOKED

    def look(self, hold: Hold, index: int, wait: float) -> Flow[ReadResult]:
        prefix = _targets(hold)[-1].prefix
        return self.client.api.list_keys(prefix, index=index, wait=wait, consistent=True)

    def guarded(self, hold: Hold) -> Flow[list[dict[str, Any]] | None]:
        targets = _targets(hold)
        found = yield from read_targets(self, targets, certain=True)
        if self.disproved(hold, found.pairs):
            return None
        # The contender keys and the entries go together, unless they are written by hand; and
        # the index of a document moves with every client that enters or leaves.
        return _alive(hold)

    # -- questions -------------------------------------------------------------------------------

    def who(self) -> Flow[Holder | None]:
        holders = yield from self.everybody()
        return holders[0] if holders else None

    def everybody(self) -> Flow[list[Holder]]:
        """The holders, in the order of their coming; those whose keys are gone come last."""
        (snapshot,) = yield from self._place()
        inside = [c for c in snapshot.contenders if snapshot.holds(c.session)]
        there = [parse_holder(c.session, c.about, c.modify_index) for c in inside]
        return there + [snapshot.holder(session) for session in sorted(snapshot.vanished())]

    def queue(self) -> Flow[list[Holder]]:
        (snapshot,) = yield from self._place()
        waiting = [c for c in snapshot.contenders if not snapshot.holds(c.session)]
        return [parse_holder(c.session, c.about) for c in waiting if c.session == c.leader]

    def _place(self) -> Flow[tuple[Snapshot]]:
        target = self.targets()[-1]
        found = yield from read_targets(self, (target,))
        return (snapshot_of(target, found),)


def _attempt(hold: Hold) -> WeightedAttempt:
    assert isinstance(hold.attempt, WeightedAttempt)
    return hold.attempt


def _targets(hold: Hold) -> tuple[Target, ...]:
    return _attempt(hold).targets


def _numbered(hold: Hold, snapshot: Snapshot) -> bool:
    """Whether the numbers of its slots are its own."""
    return all(snapshot.slots.get(number) == session for number, session in _numbers(hold))


def _numbers(hold: Hold) -> list[tuple[int, str]]:
    ids = [session.id for session in hold.sessions]
    return list(zip(_attempt(hold).slots.numbers, ids, strict=False))


def _alive(hold: Hold) -> list[dict[str, Any]]:
    contending = [
        check_session(target.contender_key(session.id), session.id)
        for target in _targets(hold)
        for session in hold.sessions
    ]
    slots = [(slot_key(hold.lock.name, number), session) for number, session in _numbers(hold)]
    return contending + [check_session(key, session) for key, session in slots]


def read_targets(
    core: WeightedBase,
    targets: tuple[Target, ...],
    *,
    certain: bool = False,
    timeout: float | None = None,
) -> Flow[ReadResult]:
    """Read the names, as one moment's picture; ``certain``: which cannot be an old one."""
    api = core.client.api
    if len(targets) == 1:
        return (yield from api.list_keys(targets[0].prefix, timeout, consistent=certain))
    operations = [{"Verb": "get-tree", "Key": target.prefix} for target in targets]
    doing = f"reading {core.key!r}"
    outcome = yield from api.transact(operations, doing, core.rule, timeout=timeout)
    # Its pairs are the whole picture: no change that is not in it has a lower index.
    return ReadResult(outcome.sent, max(1, outcome.raft_index), outcome.pairs)
