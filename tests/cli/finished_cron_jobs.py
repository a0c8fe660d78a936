"""Cron jobs that were really run, for the tests of those commands that look at them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from consul_lock import Client, CronGuard, CronRecord, CronRecords, CronState
from tests.cli.command import consul

HOUR = 3600.0

ESCAPES = "web\x1b[2J\x9b1;1H\u202e3"
"""Words that move the cursor, and turn the direction of writing."""


class Jobs:
    """Runs jobs below a name with the library, and puts their records away."""

    def __init__(self, address: str, below: str) -> None:
        self.client = Client(address)
        self.records = CronRecords(self.client)
        self.below = below
        self._address = address
        # One for all runs of a test: it may be the last second of an hour.
        self._now = time.time()

    def name(self, name: str) -> str:
        """A job below this name."""
        return f"{self.below}/{name}"

    def guard(self, name: str, **options: Any) -> CronGuard:
        """A guard, hourly unless it is said otherwise."""
        if "slot" not in options:
            options = {"every": HOUR, "early": 0, **options}
        asked = {"retry_failed": 1, **options}
        return CronGuard(self.name(name), client=self.client, **asked)

    def run(
        self,
        name: str,
        ago: int = 0,
        end: CronState = CronState.DONE,
        code: int = 0,
        **more: Any,
    ) -> str:
        """A run in the slot so many slots ago; its label."""
        with self.guard(name, **more).claim(self._now - ago * HOUR) as run:
            assert run, run.reason
            run.ended(end, code)
        return run.slot

    def record(self, name: str) -> CronRecord:
        """What is written."""
        found = self.records.record(self.name(name))
        assert found is not None
        return found

    def forge(self, name: str, **changes: Any) -> None:
        """Somebody has written another record."""
        path = f"/v1/kv/{self.name(name)}/.cron"
        (pair,) = consul(self._address, "GET", path)
        document = {**json.loads(base64.b64decode(pair["Value"])), **changes}
        flags = pair["Flags"]
        assert consul(self._address, "PUT", f"{path}?flags={flags}", json.dumps(document))

    def put(self, key: str, value: str) -> None:
        """Write a key that is no record."""
        assert consul(self._address, "PUT", f"/v1/kv/{self.below}/{key}", value)

    def clear(self) -> None:
        """Leave nothing behind."""
        self.client.close()
        consul(self._address, "DELETE", f"/v1/kv/{self.below}?recurse")


@pytest.fixture(name="jobs")
def jobs_fixture(address: str, key: str) -> Iterator[Jobs]:
    """Cron jobs below this test's key, until its end."""
    made = Jobs(address, key)
    yield made
    made.clear()
