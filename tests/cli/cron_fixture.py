"""A cron job under test: hosts that fire, each with a clock of its own, and its record.

The clock is injected as by program_stepped_clock.py, so an hour costs no time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from consul_lock import Client, CronRecord, CronRecords
from tests.cli.command import PATIENCE, Running, consul, environment
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

Result = subprocess.CompletedProcess[str]

HOUR = 3600.0
EIGHT = 500_000 * HOUR
"""2027-01-15 08:00:00Z, the beginning of a slot, with --every 1h."""

QUICK = ("--heartbeat", "3s", "--lock-delay", "7s", "--kill-after", "3s")
"""A host that dies is replaced in some ten seconds, and a busy one is not taken for dead."""

_STEPPED = str(Path(__file__).with_name("program_stepped_clock.py"))


class Job:
    """One job; its hosts run `consul-lock cron run --name NAME`."""

    def __init__(self, address: str, name: str, folder: Path) -> None:
        self.name = name
        self.key = f"{name}/.cron"
        self.address = address
        self._folder = folder
        self._stack = ExitStack()
        self._pids: list[int] = []
        self._clocks = 0

    def __enter__(self) -> Job:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()
        # The doctor looks at all records that there are, and these have clocks that are wrong.
        consul(self.address, "DELETE", f"/v1/kv/{self.name}/?recurse")

    def fire(
        self, *arguments: str, at: float | None = None, address: str = "", **more: str
    ) -> Result:
        """A host whose clock shows this time fires; to its end."""
        process = subprocess.Popen(
            [*self._prefix(at), "cron", "run", "--name", self.name, *arguments],
            env=environment(address or self.address, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._pids.append(process.pid)
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        return Result(process.args, process.returncode, output, errors)

    def start(
        self, *arguments: str, at: float | None = None, address: str = "", **more: str
    ) -> Running:
        """The same in the background; it ends with the test."""
        everything = ["cron", "run", "--name", self.name, *arguments]
        env = environment(address or self.address, **more)
        running = self._stack.enter_context(Running(everything, env, prefix=self._prefix(at)))
        self._pids.append(running.pid)
        return running

    def start_waiting(self, *arguments: str, at: float) -> Running:
        """The same, until it waits for something to change."""
        proxy = self._stack.enter_context(Proxy(self.address))
        running = self.start(*arguments, at=at, address=proxy.address)
        eventually(lambda: any("index=" in seen.path for seen in proxy.log))
        return running

    def _prefix(self, at: float | None) -> tuple[str, ...]:
        self._clocks += 1
        ahead = self._folder / f"clock-{self._clocks}"
        # A moment is lost until the host looks at it: it is never before the time.
        ahead.write_text("0" if at is None else str(at - time.time()))
        return sys.executable, _STEPPED, str(ahead)

    def record(self) -> CronRecord:
        """What is written there."""
        with Client(self.address) as client:
            found = CronRecords(client).record(self.name)
        assert found is not None
        return found

    def pause(self) -> None:
        """An operator lets nothing be run."""
        with Client(self.address) as client:
            CronRecords(client).pause(self.name, reason="deploy")

    def write(self, text: str, flags: int = 0) -> None:
        """Somebody writes something else there."""
        consul(self.address, "PUT", f"/v1/kv/{self.key}?flags={flags}", text)

    def stored(self) -> tuple[int, str]:
        """The very flags and text that are there."""
        (pair,) = consul(self.address, "GET", f"/v1/kv/{self.key}")
        return pair["Flags"], b64decode(pair["Value"]).decode()

    def forge(self, **changes: Any) -> None:
        """Change some of the record, as no guard would."""
        flags, text = self.stored()
        self.write(json.dumps({**json.loads(text), **changes}), flags)

    def left(self) -> tuple[list[str], list[str]]:
        """The keys below the name, and the sessions of its hosts."""
        keys = consul(self.address, "GET", f"/v1/kv/{self.name}/?keys") or []
        sessions = consul(self.address, "GET", "/v1/session/list")
        ours = [f":{pid} " for pid in self._pids]
        return keys, [s["ID"] for s in sessions if any(pid in s["Name"] for pid in ours)]

    def session(self) -> str | None:
        """That which holds the run lock."""
        pairs = consul(self.address, "GET", f"/v1/kv/{self.name}/.lock")
        return pairs[0].get("Session") if pairs else None


@pytest.fixture(name="job")
def job_fixture(address: str, key: str, tmp_path: Path) -> Iterator[Job]:
    """Nobody has fired yet."""
    with Job(address, key, tmp_path) as job:
        yield job
