"""The lock, whole: acquiring and releasing are bound to the rest of it."""

from __future__ import annotations

from collections.abc import Sequence

from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.lock.acquire import contend
from consul_lock._protocol.lock.base import LockAttempt, LockBase
from consul_lock._protocol.lock.queue import tidy
from consul_lock._protocol.lock.release import let_go, withdraw
from consul_lock._protocol.session.session import Session
from consul_lock.errors import LossReason


class LockCore(LockBase):
    """A lock, on one key, with a queue behind it."""

    def contend(self, attempt: LockAttempt) -> Flow[Grant | None]:
        return contend(self, attempt)

    def let_go(self, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
        return let_go(self, hold, patient=patient)

    def withdraw(self, attempt: LockAttempt, sessions: Sequence[Session]) -> Flow[list[Session]]:
        return withdraw(self, attempt, sessions)

    def tidy(self, attempt: LockAttempt, sessions: Sequence[Session]) -> Flow[None]:
        return tidy(self)
