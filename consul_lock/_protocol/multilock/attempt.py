"""The keys of several locks, read at one moment, and what that means for one who wants them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import Pair, ReadResult, SessionOptions, key_rule
from consul_lock._protocol.consul.operations import lock_operation, unchanged_operation
from consul_lock._protocol.consul.replies import TXN_OPERATIONS_MAX, TxnResult
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Attempt, Claim
from consul_lock._protocol.holder import OwnerInfo
from consul_lock._protocol.lock.decision import LockState, decide
from consul_lock._protocol.session.session import Session

# Tries to read all keys at one moment, while others make and delete some of them.
_READINGS_MAX = 4


class KeysState(NamedTuple):
    """Where one who wants all of the keys stands."""

    verdict: LockState
    pair: Pair | None = None
    """The key that it is about, if it is taken or foreign."""


class MultiLockAttempt(Attempt):
    """One try to get several locks at once.  It waits in no queue, and holds nothing meanwhile."""

    def __init__(
        self,
        keys: Sequence[str],
        about: OwnerInfo,
        session_key: tuple[SessionOptions, Any],
        owner: Any,
        blocking: bool,
    ) -> None:
        super().__init__(tuple(Claim(key) for key in keys), about, session_key, owner, blocking)
        # A room of their own for those that want just the same.  In the rooms of the single
        # locks it would wait in one with a place in another, and the one who has that place
        # before it may wait for the one behind.  No key has a line break in it.
        self.queues = () if session_key[1] else (Claim("\n".join(["", *sorted(keys)])),)
        self.inside = False
        """With a shared session: it is in the rooms of all locks, see `step_in`."""
        self.pairs: Mapping[str, Pair] | None = None
        """The keys that there are, by the last read, or the one of them that was watched;
        None: not looked yet, or too long ago."""
        self.known: frozenset[str] = frozenset()
        """Which keys there were at the last answer about them: it saves a request of a read."""
        self.locked: Mapping[str, int] = {}
        """The LockIndex of each key that there was when they were read before the write, or the
        first one of which no answer came."""
        self.unanswered: Session | None = None
        """The session of that write, if no answer came."""
        self.warned = False
        """They did not look free, or were not: look before writing, as a refused write is a Raft
        entry, too."""
        self.refused = False
        """Consul has refused the locks at least once, though they looked free."""
        self.refusals = 0
        """The same, times in a row, without having seen which lock was taken."""

    @property
    def alone(self) -> bool:
        """What the session has on the keys is of this attempt, not of another lock."""
        return self.session is None or not self.session.shared or self.inside

    def forget_what_was_seen(self) -> None:
        self.pairs = None


def step_in(client: ClientCore, attempt: MultiLockAttempt) -> bool:
    """With a shared session: enter the rooms of all locks, or none, without waiting for it.

    To Consul all users of a session are one: it would grant a lock that another of them
    holds, and the reverse.  So no other call of this process may have one of them, or be
    about to, from before the write until the end.  False: another one does.
    """
    if attempt.alone:
        return True
    with client.mutex:
        # It must not queue in there, see `MultiLockAttempt.queues`.
        patient, attempt.blocking = attempt.blocking, False
        attempt.queues = attempt.claims
        attempt.inside = client.local_queues.enter(attempt)
        attempt.blocking = patient
    return attempt.inside


def step_out(client: ClientCore, attempt: MultiLockAttempt) -> None:
    """Leave those local queues: nothing there is held, nor can become so by a late answer."""
    session = attempt.session
    if attempt.inside and not (session and session.uncertain):
        attempt.inside = False
        client.local_queues.leave(attempt)


def read_keys(
    client: ClientCore, keys: Sequence[str], known: frozenset[str] = frozenset()
) -> Flow[dict[str, Pair]]:
    """The keys that there are, by a consistent read; ``known``: which there may be.

    At one moment, if others leave the time for that.  Consul up to 1.13 has no operation that
    reads a key that may be missing, so a wrong guess is refused, and the refusal shows the right
    one.
    """
    there = set(known)
    doing, rule = (
        f"reading {keys[0]!r} and others",
        " ".join(key_rule(key.removesuffix(".lock"), "read") for key in keys),
    )
    for _ in range(_READINGS_MAX):
        verbs = ["get" if key in there else "check-not-exists" for key in keys]
        operations = [{"Verb": v, "Key": key} for v, key in zip(verbs, keys, strict=True)]
        outcome = yield from client.api.transact(operations, doing, rule)
        if outcome.done:
            return {pair.key: pair for pair in outcome.pairs}
        there ^= {keys[operation] for operation, _ in outcome.errors}
    found = dict[str, Pair]()
    for key in keys:
        single = yield from client.api.get(key, consistent=True)
        if single.pair is not None:
            found[key] = single.pair
    return found


def stand(
    keys: Sequence[str], pairs: Mapping[str, Pair], session: Session, *, alone: bool
) -> KeysState:
    """What the keys, as a consistent read showed them, mean for the attempt."""
    judged = {key: _judge(pairs.get(key), session) for key in keys}
    for key, verdict in judged.items():
        if verdict is LockState.FOREIGN:
            return KeysState(verdict, pairs[key])
    if alone and LockState.OURS in judged.values():
        return KeysState(LockState.OURS)
    for key, verdict in judged.items():
        if verdict is not LockState.FREE:
            return KeysState(LockState.TAKEN, pairs[key])
    return KeysState(LockState.FREE)


def _judge(pair: Pair | None, session: Session) -> LockState:
    return decide(ReadResult(0.0, 0, (pair,)) if pair else None, session, certain=True)


def guarded(keys: Sequence[str]) -> bool:
    """Whether there is room in a transaction to look at each key before it is locked."""
    return 2 * len(keys) <= TXN_OPERATIONS_MAX


def locking(
    keys: Sequence[str], pairs: Mapping[str, Pair], session: Session, value: str
) -> list[dict[str, Any]]:
    """The operations that lock all keys.

    Of more than half as many keys as Consul takes operations, nothing is checked in there: they
    were read just before, and in between somebody could make one of them for something else,
    which would be overwritten.  (That somebody had a lock in between is seen afterwards, by
    `undisturbed`.)  Newer servers take 128 operations, but one that takes fewer says so only by
    an error.
    """
    operations = []
    for key in keys:
        if guarded(keys):
            operations.append(unchanged_operation(key, pairs.get(key)))
        operations.append(lock_operation(key, session.id, value))
    return operations


def undisturbed(attempt: MultiLockAttempt, pairs: Sequence[Pair]) -> bool:
    """Whether no other session has had one of these keys between the read and the write.

    It matters where that write had no room for checks.  The lock-delay of a session that has ended
    in between is known to the leader that admits a write, and not where it is carried out: the
    holder may believe still.
    """
    return all(pair.lock_index == attempt.locked.get(pair.key, 0) + 1 for pair in pairs)


def refused_keys(keys: Sequence[str], outcome: TxnResult) -> dict[str, str]:
    """For which keys `locking` was refused, and why."""
    each = 2 if guarded(keys) else 1
    return {keys[operation // each]: text for operation, text in reversed(outcome.errors)}
