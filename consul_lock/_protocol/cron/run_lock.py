"""The run lock of a cron job: the lock of its name, whose value says whether a run is under way."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.error_budget import Patience
from consul_lock._protocol.consul.models import Pair, encode
from consul_lock._protocol.consul.operations import check_session, lock_operation
from consul_lock._protocol.cron.slot import Slot
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Attempt, Grant
from consul_lock._protocol.holder import About, parse
from consul_lock._protocol.keys import LockKeys
from consul_lock._protocol.lock.base import LockAttempt
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.acquire import persist
from consul_lock._protocol.primitive.primitive import Settings

LOOKING = "cron: looking"
"""The value of whoever has the lock only to look at the record."""


OPERATIONS = 2
"""How many operations of a claim are about the lock: the first ones."""


class RunLock(LockCore):
    """A lock that is tried once, whatever goes wrong with Consul meanwhile."""

    def __init__(self, client: ClientCore, keys: LockKeys, settings: Settings) -> None:
        super().__init__(client, keys, settings)
        self._said = settings.meta, settings.command
        self.about = self._saying(LOOKING)

    def _saying(self, value: str) -> About:
        meta, command = self._said
        return About(self.client.identity.about, self.terms, meta, command, value)

    def contend(self, attempt: LockAttempt) -> Flow[Grant | None]:
        """Try once.  An answer that is lost must not cost the session, and everybody a lock-delay:
        whoever asks again, with the same session, learns how things stand."""
        return persist(super().contend, attempt)

    def patience_of(self, attempt: Attempt, wait: float | None) -> Patience:
        return Patience(self.client, name=self.name)

    def operations(self, slot: Slot, since: float) -> list[dict[str, Any]]:
        """Operations that are refused if the lock is not held, and say that a run is under way."""
        hold = self.hold
        assert hold is not None
        about = self._saying(f"cron: running {slot.label}")
        value = encode(about.value(since, hold.token))
        session = hold.session.id
        return [check_session(self.key, session), lock_operation(self.key, session, value)]


def looks(pair: Pair) -> bool:
    """Whether the holder only looks at the record.  Of all others, something is under way."""
    return parse(pair.session, pair.value).value == LOOKING
