"""What the locks of one client share, whole: what runs beside its callers is bound to the rest."""

from __future__ import annotations

from consul_lock._protocol.client.base import ClientBase
from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.client.watchdog import Watchdog
from consul_lock._protocol.flow import Environment, Identity


class ClientCore(ClientBase):
    """Everything of a client that is not I/O."""

    def _begin(self, surroundings: Environment, identity: Identity) -> None:
        super()._begin(surroundings, identity)
        self.watchdog = Watchdog(self)

    def begin_to_close(self) -> None:
        super().begin_to_close()
        self.watchdog.wake.set()

    def new_keeper(self) -> Keeper:
        return Keeper(self)
