"""A driver for the cron guard: each claim is made by another host."""

from __future__ import annotations

import json
from typing import Any

from consul_lock._protocol import keys as names
from consul_lock._protocol.cron.claim import SlotClaim
from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.guard import CronCore
from consul_lock._protocol.cron.run import CronRun
from consul_lock._protocol.cron.run_lock import RunLock
from consul_lock._protocol.cron.slot import Every
from consul_lock._protocol.flow import Job
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import ConsulLockError
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver

HOUR = 3600.0


class CronDriver(FakeDriver):
    """A driver that claims slots, each time as another host."""

    def __init__(self) -> None:
        super().__init__()
        self._hosts = 0

    def claim(self, slot: int = 1, **plan: Any) -> tuple[CronCore, SlotClaim, Job]:
        """What claims this slot, on a new host."""
        self._hosts += 1
        client = self.client(f"host{self._hosts}")
        core = CronCore(client, NAME, CronPlan(Every(HOUR, 0, None), **plan))
        lock = RunLock(client, names.keys_of_name(NAME), Settings(terms.session_options()))
        return core, *core.claim(lock, slot * HOUR, "me")

    def once(self, slot: int = 1, **plan: Any) -> tuple[CronCore, SlotClaim, CronRun[Any]]:
        """Claim it, and clean up after an error as the drivers do."""
        core, claim, job = self.claim(slot, **plan)
        try:
            return core, claim, self.run(job)
        except ConsulLockError:
            assert job.undo is not None
            self.run(job.undo())
            raise

    def look_for(self, value: str) -> str:
        """Somebody holds the run lock, and says this.  Returns the session."""
        made = operator(self.world, "/v1/session/create", body=b'{"LockDelay": "0s"}')
        session = str(json.loads(made)["ID"])
        text = json.dumps({"host": "x", "pid": 1, "value": value}).encode()
        path = f"/v1/kv/{NAME}/.lock?acquire={session}&flags={LOCK_FLAG}"
        operator(self.world, path, body=text)
        return session
