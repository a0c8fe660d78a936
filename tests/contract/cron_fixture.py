"""A cron job under test: guards of several hosts, and its record."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import Any

from consul_lock import CronRecord
from tests.contract.fixture import Room
from tests.contract.operator import LOCK_FLAG
from tests.support.apis import Sync

HOUR = 3600.0
NINE = 500_000 * HOUR
"""The beginning of a slot, with ``every="1h"``."""

SHORT = 1.5
"""Lock-delay of a host that is to die.  Others have the default: with a short one, a run is lost
if the machine is too busy to renew its session in time."""


class Claiming(Sync):
    """A claim of either face.  To ask a `CronRun` takes no actor."""

    def __enter__(self) -> Any:
        return self.actor.do(self._special("enter"))

    def leave(self) -> None:
        """The block ends, and all is well."""
        self.__exit__(None, None, None)


class CronRoom:
    """A room in which a job is run; its record stays, as it must."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.name = room.name
        self.key = f"{room.name}/.cron"
        room.left.add(self.key)
        self._client = room.client(room.actor())
        self.records = self._new(self._client, "CronRecords", self._client.thing)

    def _new(self, by: Sync, what: str, *args: Any, **options: Any) -> Sync:
        return Sync(by.actor.do(getattr(self.room.api, what), *args, **options), by.actor)

    def host(self, *, address: str | None = None, **options: Any) -> Sync:
        """A guard on a host of its own; hourly, unless it is said otherwise."""
        if not {"every", "slot", "schedule"} & options.keys():
            options["every"] = "1h"
        client = self.room.client(self.room.actor(), address=address)
        return self._new(client, "CronGuard", self.name, client=client.thing, **options)

    def claim(self, host: Sync, at: float = NINE) -> Claiming:
        """For ``with``: what is entered is a `CronRun`."""
        return Claiming(host.claim(at), host.actor)

    def start(self, host: Sync, at: float = NINE) -> tuple[Claiming, Future[Any]]:
        """Begin to enter, and do not wait for it."""
        claim = self.claim(host, at)
        return claim, host.actor.start(claim._special("enter"))

    def once(self, host: Sync, at: float = NINE) -> str:
        """Claim, and do nothing; what came of it."""
        with self.claim(host, at) as run:
            return str(run.outcome.value)

    def record(self) -> CronRecord:
        """What is written there."""
        found = self.records.record(self.name)
        assert isinstance(found, CronRecord)
        return found

    def overview(self, prefix: str) -> tuple[Any, Any]:
        """What a survey shows: locks, and records."""
        client = self.room.client()
        survey = client.actor.do(self.room.api.Survey, client.thing)
        locks, crons, _ = client.actor.do(survey.overview, prefix)
        told = {each.key for each in crons}
        below = client.actor.do(survey.below, prefix)
        assert locks == [each for each in below if each.key not in told]
        return locks, crons

    def forge(self, **changes: Any) -> None:
        """Somebody has written another record."""
        operator = self.room.operator
        found = operator.keys(self.key)[self.key]
        document = {**json.loads(found["Value"]), **changes}
        operator.put_flags(self.key, found["Flags"], json.dumps(document).encode())

    def hold_saying(self, value: str) -> str:
        """An operator's session holds the run lock, and says this.  Returns the session."""
        operator, session = self.room.operator, self.room.operator.create_session()
        text = json.dumps({"host": "elsewhere", "pid": 1, "value": value}).encode()
        path = f"/v1/kv/{self.name}/.lock?acquire={session}&flags={LOCK_FLAG}"
        assert operator.ask("PUT", path, text)
        return session
