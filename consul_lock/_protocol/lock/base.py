"""The lock: one holder, first come, first served, with a fencing token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import Found, key_rule
from consul_lock._protocol.flow import Flow, Request
from consul_lock._protocol.hold.attempt import LockAttempt
from consul_lock._protocol.hold.claim import Claim
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.hold.waiter import entry_key
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.keys import LockKeys
from consul_lock._protocol.lock import questions as asking
from consul_lock._protocol.lock import withdrawal
from consul_lock._protocol.lock.acquire import contend
from consul_lock._protocol.lock.decision import as_refused, check_session, unlock_operation
from consul_lock._protocol.lock.queue import tidy
from consul_lock._protocol.lock.release import let_go
from consul_lock._protocol.primitive.primitive import Primitive, Settings
from consul_lock._protocol.session.session import Session
from consul_lock.errors import LossReason


class LockCore(Primitive):
    """A lock, on one key, with a line behind it."""

    def __init__(self, client: ClientCore, keys: LockKeys, settings: Settings) -> None:
        super().__init__(client, keys.name, keys.key, settings)
        self.base = keys.base
        self.fair = settings.fair
        self.rule = key_rule(self.key.removesuffix(".lock"))
        self._claims = (Claim(self.key),)

    def attempt(self, owner: Any, blocking: bool, n: int = 1) -> LockAttempt:
        return LockAttempt(self._claims, self.about, (self.terms, self.shared), owner, blocking)

    def contend(self, attempt: LockAttempt) -> Flow[Grant | None]:
        return contend(self, attempt)

    def let_go(self, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
        return let_go(self, hold, patient=patient)

    def withdraw(self, attempt: LockAttempt, sessions: Sequence[Session]) -> Flow[list[Session]]:
        return withdrawal.withdraw(self, attempt, sessions)

    def tidy(self, attempt: LockAttempt, sessions: Sequence[Session]) -> Flow[None]:
        return tidy(self)

    def farewell(self, session: Session) -> list[Request]:
        key, doing = self.key, f"letting go of {self.key!r}"
        leaving = [{"Verb": "delete", "Key": entry_key(self.base, session.id)}]
        freeing = [unlock_operation(key, session.id), {"Verb": "delete", "Key": key}]
        # First the queue: else it could be handed over once more in between.
        both = (leaving, freeing)
        return [self.client.wire.transaction(ops, doing, self.rule) for ops in both]

    # -- looking after it ----------------------------------------------------------------------

    def proof(self, hold: Hold) -> list[dict[str, Any]]:
        return [check_session(self.key, hold.session.id)]

    def hints(self, hold: Hold) -> list[dict[str, Any]]:
        return [] if hold.crowded else [{"Verb": "check-not-exists", "Key": self.base}]

    def learn(self, hold: Hold, timeout: float) -> Flow[None]:
        return asking.read_line(self, hold, timeout)

    def refuted(self, hold: Hold, refusal: str, timeout: float) -> Flow[LossReason | None]:
        return self.client.diagnose(hold, as_refused(hold.key, refusal), timeout)

    def why_lost(self, hold: Hold) -> Flow[LossReason]:
        """A release was refused, as it is not ours: since when?"""
        found = yield from self.client.wire.get(self.key, consistent=True)
        return (yield from self.client.diagnose(hold, found.pair))

    def examine(self, hold: Hold, found: Found | None, timeout: float | None) -> Flow[Any]:
        if found is None:
            found = yield from self.client.wire.get(self.key, consistent=True)
        pair = found.pair
        if pair is not None and pair.session == hold.session.id:
            return None
        return (yield from self.client.diagnose(hold, pair, timeout))

    def look(self, hold: Hold, index: int, wait: float) -> Flow[Found]:
        return self.client.wire.get(self.key, index, wait, consistent=True)

    def guarded(self, hold: Hold) -> Flow[list[dict[str, Any]] | None]:
        yield from ()
        return self.proof(hold)

    def who(self) -> Flow[Holder | None]:
        return asking.holder(self.client, self.key)

    def line(self) -> Flow[list[Holder]]:
        return asking.waiters(self.client, self.base)
