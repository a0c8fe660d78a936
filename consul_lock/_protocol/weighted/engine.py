"""What semaphores, read/write locks and tree locks share, whole: how they are acquired and released
is bound to the rest."""

from __future__ import annotations

from collections.abc import Sequence

from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.weighted.acquire import contend
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import WeightedBase
from consul_lock._protocol.weighted.release import let_go, settle, withdraw
from consul_lock.errors import LossReason


class WeightedCore(WeightedBase):
    """Something with a document of its holders.  One object can be held several times over."""

    def contend(self, attempt: WeightedAttempt) -> Flow[Grant | None]:
        return contend(self, attempt)

    def let_go(self, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
        return let_go(self, hold, patient=patient)

    def withdraw(
        self, attempt: WeightedAttempt, sessions: Sequence[Session]
    ) -> Flow[list[Session]]:
        return withdraw(self, attempt, sessions)

    def tidy(self, attempt: WeightedAttempt, sessions: Sequence[Session]) -> Flow[None]:
        return settle(self, attempt.targets, sessions)
