"""The lock: one holder, first come, first served, with a fencing token."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import Pair, ReadResult, SessionOptions, key_rule
from consul_lock._protocol.consul.operations import check_session, unlock_operation
from consul_lock._protocol.flow import Flow, Request, Warn
from consul_lock._protocol.hold.hold import Attempt, Claim, Hold
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.hold.waiter import DeadWaiter, WaiterEntry, WaiterQueue, parse_queue
from consul_lock._protocol.holder import Holder, OwnerInfo, parse_holder
from consul_lock._protocol.keys import LOCK_FLAG, LockKeys, entry_key
from consul_lock._protocol.lock.decision import as_refused, written_over
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.session import Session
from consul_lock.errors import LossReason


class LockBase(Lockable):
    """A lock, on one key, with its queue; all but how it is acquired and released."""

    def __init__(self, client: ClientCore, keys: LockKeys, settings: Settings) -> None:
        super().__init__(client, keys.name, keys.key, settings)
        self.base = keys.base
        self.fair = settings.fair
        self.rule = key_rule(self.key.removesuffix(".lock"))
        self._claims = (Claim(self.key),)

    def attempt(self, owner: Any, blocking: bool, n: int = 1) -> LockAttempt:
        return LockAttempt(
            self._claims, self.about_now(), (self.terms, self.shared), owner, blocking
        )

    def farewell(self, session: Session) -> list[Request]:
        key, doing = self.key, f"releasing {self.key!r}"
        leaving = [{"Verb": "delete", "Key": entry_key(self.base, session.id)}]
        freeing = [unlock_operation(key, session.id), {"Verb": "delete", "Key": key}]
        # First the queue: else it could be handed over once more in between.
        both = (leaving, freeing)
        return [self.client.api.transaction(ops, doing, self.rule) for ops in both]

    # -- looking after it ----------------------------------------------------------------------

    def proof(self, hold: Hold) -> list[dict[str, Any]]:
        return [check_session(self.key, hold.session.id)]

    def hints(self, hold: Hold) -> list[dict[str, Any]]:
        return [] if hold.contended else [{"Verb": "check-not-exists", "Key": self.base}]

    def learn(self, hold: Hold, timeout: float) -> Flow[None]:
        return read_queue(self, hold, timeout)

    def refuted(self, hold: Hold, refusal: str, timeout: float) -> Flow[LossReason | None]:
        return self.client.diagnose(hold, as_refused(hold.key, refusal), timeout)

    def why_lost(self, hold: Hold) -> Flow[LossReason]:
        """A release was refused, as this session does not hold it: since when?"""
        found = yield from self.client.api.get(self.key, consistent=True)
        return (yield from self.client.diagnose(hold, found.pair))

    def examine(self, hold: Hold, found: ReadResult | None, timeout: float | None) -> Flow[Any]:
        if found is None:
            found = yield from self.client.api.get(self.key, consistent=True)
        pair = found.pair
        if pair is not None and pair.session == hold.session.id:
            return None
        return (yield from self.client.diagnose(hold, pair, timeout))

    def look(self, hold: Hold, index: int, wait: float) -> Flow[ReadResult]:
        return self.client.api.get(self.key, index, wait, consistent=True)

    def guarded(self, hold: Hold) -> Flow[list[dict[str, Any]] | None]:
        yield from ()
        return self.proof(hold)

    def who(self) -> Flow[Holder | None]:
        return read_holder(self.client, self.key)

    def queue(self) -> Flow[list[Holder]]:
        return read_waiters(self.client, self.base)


class LockAttempt(Attempt):
    """One try to get a lock, which may lead into its queue."""

    def __init__(
        self,
        claims: tuple[Claim, ...],
        about: OwnerInfo,
        session_key: tuple[SessionOptions, Any],
        owner: Any,
        blocking: bool,
    ) -> None:
        super().__init__(claims, about, session_key, owner, blocking)
        self.joined = False
        """It was requested to join Consul's queue with this session, whatever the outcome."""
        self.queued = False
        """The entry of this attempt is in Consul's queue, as far as is known."""
        self.first = False
        """This attempt is the first in that queue."""
        self.behind = ""
        """The session that held the lock when this attempt was seen to be the first."""
        self.placed_at = 0
        """A Raft index: what was written to the lock's key later may have cost it its place."""
        self.ahead: WaiterEntry | None = None
        """The waiter directly before this one; None and not ``first``: not known."""
        self.before: tuple[WaiterEntry, ...] = ()
        """All waiters before this one when the queue was read last."""
        self.unseen: float | None = None
        """A time (driver's clock) before which nothing was handed over to this attempt; None: it
        has not joined the queue yet with this session.  See `confirmation`."""
        self.idle: tuple[int, float] | None = None
        """The lock is free, or was handed to a waiter that has not confirmed it: the ModifyIndex
        of its key (0: there is none) and when this was first seen (driver's clock); if it is in
        lock-delay, when that may end."""
        self.dead: tuple[DeadWaiter, ...] = ()
        """Entries of dead waiters in that queue, to be deleted by the next write to it."""
        self.deserted: WaiterQueue | None = None
        """A queue in which nobody is alive, which is cleared by the write that takes the lock."""
        self.seen: ReadResult | None = None
        """The last read of the lock's key; None: not looked yet, or too long ago."""
        self.certain = False
        """That read cannot have been stale."""
        self.refused = False
        """Consul has refused the lock at least once, though it looked free."""

    @property
    def in_queue(self) -> bool:
        return self.queued

    def assume_all(self) -> None:
        super().assume_all()
        self.joined = self.queued = True

    def forget_what_was_seen(self) -> None:
        self.seen = None

    def forget_place(self) -> None:
        """What was known of the place in Consul's queue is not true any more."""
        self.first, self.ahead, self.before, self.seen = False, None, (), None


def read_holder(client: ClientCore, key: str) -> Flow[Holder | None]:
    """Who holds a key; None: nobody."""
    found = yield from client.api.get(key)
    pair = found.pair
    if pair is None or not pair.session:
        return None
    return parse_holder(pair.session, pair.value, pair.modify_index)


def read_waiters(client: ClientCore, base: str) -> Flow[list[Holder]]:
    """Who is in a queue, in order."""
    found = yield from client.api.list_keys(base)
    entries = parse_queue(base, found.pairs).entries
    return [parse_holder(entry.session, entry.about) for entry in entries]


def read_queue(lock: LockBase, hold: Hold, timeout: float) -> Flow[None]:
    """Read the queue while holding, so that the release itself needs one request only."""
    found = yield from lock.client.api.list_keys(lock.base, timeout)
    queue = parse_queue(lock.base, found.pairs).behind(hold.session.id)
    if hold.state is State.HELD:
        hold.queue, hold.contended = queue, hold.contended or bool(queue.sign)


def complain(attempt: Attempt, pair: Pair | None) -> Flow[None]:
    """Say once that a lock which is waited for was written over; it is waited for all the same."""
    if pair is not None and pair.flags != LOCK_FLAG and not attempt.complained:
        attempt.complained = True
        yield Warn(written_over(pair), "overwritten")
