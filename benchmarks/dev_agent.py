"""A real Consul agent in development mode, for as long as a benchmark runs."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

CACHED = Path("~/.cache/consul-lock/consul-1.8.7/consul")
START_LIMIT = 30.0  # An agent elects itself within 3 s; a busy machine takes longer.
PORTS = ("http", "dns", "server", "serf_lan", "serf_wan")


def find_consul() -> str:
    """The binary: $CONSUL_BIN, or on PATH, or where ``scripts/get-consul`` puts it."""
    cached = CACHED.expanduser()
    found = os.environ.get("CONSUL_BIN") or shutil.which("consul")
    if not found and cached.exists():
        found = str(cached)
    if not found:
        raise SystemExit("no consul binary: set CONSUL_BIN, or run scripts/get-consul")
    return found


def free_port(taken: set[int]) -> int:
    """A free port below the ephemeral range, which outgoing connections would collide with."""
    for port in range(21000 + os.getpid() % 5000, 32700):
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        return port
    raise SystemExit("no free port below 32700")


class Agent:
    """``with Agent() as agent:`` starts one on loopback; ``agent.port`` is its HTTP port."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="consul-benchmark-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Agent:
        taken: set[int] = set()
        ports = {name: free_port(taken) for name in PORTS}
        self.port = ports["http"]
        command = [find_consul(), "agent", "-dev", "-bind=127.0.0.1", "-log-level=warn"]
        options = [f"-{name.replace('_', '-')}-port={port}" for name, port in ports.items()]
        options += ["-hcl=ports { grpc = -1 }", "-hcl=disable_update_check = true"]
        # The rounds open a connection a contender, all from one address.
        options.append("-hcl=limits { http_max_conns_per_client = 2000 }")
        with Path(self.folder, "log").open("wb") as log:
            self._process = subprocess.Popen(command + options, stdout=log, stderr=log)
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_LIMIT
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                break
            if self._makes_sessions():
                return
            time.sleep(0.1)
        log = Path(self.folder, "log").read_text(errors="replace")[-2000:]
        raise SystemExit(f"the Consul agent did not start:\n{log}")

    def _makes_sessions(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            # The last thing to work: it needs a leader, and the agent's node in the catalogue.
            connection.request("PUT", "/v1/session/create", body=b'{"TTL": "10s"}')
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
