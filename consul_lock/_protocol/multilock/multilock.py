"""The locks of several names, whole: acquiring and releasing are bound to the rest."""

from __future__ import annotations

from collections.abc import Sequence

from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.multilock.acquire import contend
from consul_lock._protocol.multilock.attempt import MultiLockAttempt
from consul_lock._protocol.multilock.base import MultiLockBase
from consul_lock._protocol.multilock.release import let_go, withdraw
from consul_lock._protocol.session.session import Session
from consul_lock.errors import LossReason


class MultiLockCore(MultiLockBase):
    """The locks of several names, held together or not at all."""

    def contend(self, attempt: MultiLockAttempt) -> Flow[Grant | None]:
        return contend(self, attempt)

    def let_go(self, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
        return let_go(self, hold, patient=patient)

    def withdraw(
        self, attempt: MultiLockAttempt, sessions: Sequence[Session]
    ) -> Flow[list[Session]]:
        return withdraw(self, attempt, sessions)

    def tidy(self, attempt: MultiLockAttempt, sessions: Sequence[Session]) -> Flow[None]:
        yield from ()  # it leaves nothing beside its keys, which end with their session
