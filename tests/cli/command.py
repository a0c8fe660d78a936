"""The installed command as a subprocess, ended with the test whatever happens."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.waiting import eventually

COMMAND = (sys.executable, "-m", "consul_lock_cli")

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 120.0


def environment(address: str | None = None, **more: str) -> dict[str, str]:
    """The environment of the tests, without what concerns Consul, and with the address of one."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CONSUL_", "CONSULLOCK_"))
    }
    if "CONSUL_BIN" in os.environ:
        kept["CONSUL_BIN"] = os.environ["CONSUL_BIN"]
    if address is not None:
        kept["CONSUL_HTTP_ADDR"] = address
    return {**kept, **more}


class Running:
    """A process with its output at hand; its group and itself are killed with the block."""

    def __init__(
        self, arguments: list[str], env: Mapping[str, str], *, prefix: tuple[str, ...] = COMMAND
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        self._process = subprocess.Popen(
            [*prefix, *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            # Its children go first, as nothing stops them if it is killed: each by its own pid.
            for child in self.children():
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def children(self) -> list[int]:
        """The pids of its children."""
        return children(self.pid)

    def guardian(self) -> int:
        """The pid of its guardian."""
        (found,) = eventually(lambda: [pid for pid in self.children() if is_guardian(pid)])
        return found

    def send(self, signum: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, signum)

    def running(self) -> bool:
        return self._process.poll() is None

    def line(self) -> str:
        """The next line of its stdout; empty at the end."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            readable, _, _ = select.select([descriptor], [], [], PATIENCE)
            assert readable, f"no line within {PATIENCE} s; stderr: {self.errors()}"
            part = os.read(descriptor, 4096)
            if not part:
                break
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def wait(self) -> int:
        """Its exit code, or minus the signal that killed it."""
        return self._process.wait(PATIENCE)

    def errors(self) -> str:
        """Its stderr up to now."""
        # The command writes at the offset that it shares with this file, so that is not moved.
        file = self._errors.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode()

    def said(self) -> list[str]:
        """The lines of consul-lock on its stderr: the command writes there, too."""
        ours = ("consul-lock: ", "hint: ")
        return [line for line in self.errors().splitlines() if line.startswith(ours)]


def children(pid: int) -> list[int]:
    """The pids of a process's children."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def alive(pid: int) -> bool:
    """Whether a process can still do anything (a zombie cannot)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def is_guardian(pid: int) -> bool:
    """Whether it has said so: it names itself after it was made."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "lock-guardian"
    except OSError:
        return False


def consul(address: str, method: str, path: str, body: str | None = None) -> Any:
    """What Consul answers; None if there is no such thing."""
    where = urlsplit(address if "//" in address else f"//{address}")
    connection = http.client.HTTPConnection(where.netloc, timeout=60)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    assert answer.status in (200, 404), f"{answer.status}: {text!r}"
    return json.loads(text) if answer.status == 200 else None
