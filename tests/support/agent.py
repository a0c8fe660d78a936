"""A real Consul agent for a test, on loopback, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.support.agent_config import MASTER_TOKEN, Doors, Ports, build, merge
from tests.support.certificates import Certificates
from tests.support.raw_kv import RawConsul
from tests.support.waiting import eventually

# The rules of blocking reads, and most texts, have been the same since then.
_NEWER_SINCE = (1, 12)

# A taken port shows at once, a fresh choice nearly always helps.
_TRIES = 3


def version_of(binary: Path) -> str:
    """What ``consul version`` calls itself, such as "1.8.7"."""
    said = subprocess.run([binary, "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v(\d+(?:\.\d+)+)", said)
    assert found, said
    return found.group(1)


def modelled(version: str) -> str:
    """Which of the releases that the model knows has the rules of this one."""
    parts = tuple(int(part) for part in version.split(".")[:2])
    return "1.8" if parts < _NEWER_SINCE else "1.21"


class Agent(RawConsul):
    """One agent process.  Use it as a context manager, or call `start` and `stop`.

    By default a single server in memory (``-dev``).  ``config`` is merged into the usual one
    (Consul's JSON), for example ``{"limits": {"http_max_conns_per_client": 1000}}``.
    ``acl`` denies by default; `master_token` may do everything, `token_for` makes others.
    ``tls`` opens `https_address` besides, with `certificates`; ``verify_clients`` asks
    callers there for a certificate.  ``unix_socket`` opens `unix_address`, ``ipv6`` `ipv6_address`.
    ``bind`` is where other agents reach it.
    `log` is what the agent has said, also after `stop`.  What is in it: see `RawConsul`.
    """

    def __init__(
        self,
        binary: Path,
        *,
        config: dict[str, Any] | None = None,
        name: str = "node-1",
        bind: str = "127.0.0.1",
        dev: bool = True,
        acl: bool = False,
        tls: bool = False,
        verify_clients: bool = False,
        unix_socket: bool = False,
        ipv6: bool = False,
    ) -> None:
        self.binary = binary
        self.name = name
        self._node_id = str(uuid.uuid4())
        self.bind = bind
        self.ports = Ports()
        super().__init__(MASTER_TOKEN if acl else None)
        # Short, because the path of a unix socket may have 107 bytes only.
        self.folder = Path(tempfile.mkdtemp(prefix="consul-"))
        self.certificates = Certificates(self.folder) if tls else None
        self._doors = Doors(
            unix_socket=self.folder / "http.sock" if unix_socket else None,
            ipv6=ipv6,
            certificates=self.certificates,
            verify_clients=verify_clients,
        )
        self._dev = dev
        self._config: dict[str, Any] = config or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = ""

    # Where it is.

    @property
    def http_port(self) -> int:
        return self.ports.http

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def https_address(self) -> str:
        return f"https://localhost:{self.ports.https}"

    @property
    def ipv6_address(self) -> str:
        return f"http://[::1]:{self.ports.http}"

    @property
    def unix_address(self) -> str:
        return f"unix://{self._doors.unix_socket}"

    @property
    def consul(self) -> str:
        """The release of the model that is compared with it."""
        return modelled(version_of(self.binary))

    @property
    def pid(self) -> int:
        assert self._process is not None, "the agent was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process exists, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else self._log

    # Its life.

    def start(self) -> Self:
        """Start it and wait until sessions can be made.  After `kill`, start it on its old data."""
        again = self._process is not None
        for attempt in range(1, _TRIES + 1):
            self.launch()
            if self.wait_ready():
                return self
            if again or attempt == _TRIES or "address already in use" not in self.log:
                break
            self.ports = Ports()
        raise AssertionError(f"the agent ended at once:\n{self.log}")

    def configure(self, config: dict[str, Any]) -> None:
        """Merge more of Consul's configuration in, for the next start."""
        self._config = merge(self._config, config)

    def wait_ready(self, timeout: float = 60.0) -> bool:
        """Wait until sessions can be made.  False if the process has ended instead."""
        try:
            eventually(self._ready_or_dead, timeout, message="the agent serves sessions")
        except BaseException:
            self._end()
            raise
        return self.running

    def launch(self) -> None:
        """Start the process and wait for nothing."""
        version = tuple(int(part) for part in version_of(self.binary).split("."))
        ours = build(
            self.ports,
            self._doors,
            name=self.name,
            node_id=self._node_id,
            bind=self.bind,
            data=self.folder / "data",
            acl=self.master_token is not None,
            version=version,
        )
        file = self.folder / "agent.json"
        file.write_text(json.dumps(merge(ours, self._config)))
        command = [str(self.binary), "agent", *(["-dev"] if self._dev else [])]
        with (self.folder / "log").open("ab") as log:
            # No environment: the CONSUL_* of the user who runs the tests must not reach it.
            self._process = subprocess.Popen(
                [*command, f"-config-file={file}"], stdout=log, stderr=log, env={}
            )

    def freeze(self) -> None:
        """Stop the process where it stands: it accepts connections and answers nothing."""
        self._send(signal.SIGSTOP)
        # The signal has been sent, not obeyed: its threads stop one by one.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would.  `start` brings it back on the same ports."""
        self._send(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(120)

    def stop(self) -> None:
        """End it and remove its folder.  A frozen one is let go on first."""
        self._end()
        self._log = self.log
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _ready_or_dead(self) -> bool:
        if not self.running:
            return True
        try:
            # Another agent may have this port, and answer until this process has noticed it.
            about = self.request("GET", "/v1/agent/self", timeout=5.0)
            if about.status != 200 or about.json()["Config"]["NodeID"] != self._node_id:
                return False
            made = self.request("PUT", "/v1/session/create", {"TTL": "10s"}, timeout=5.0)
            if made.status != 200:
                return False
            gone = self.request("PUT", f"/v1/session/destroy/{made.json()['ID']}", timeout=5.0)
        except OSError:
            return False
        return gone.status == 200

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None, "the agent was never started"
        self._process.send_signal(number)

    def _end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait(120)
