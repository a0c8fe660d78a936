"""A private Consul agent: a real one on loopback, in memory, which ends with consul-lock."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Self

from consul_lock_cli.base.clock import now
from consul_lock_cli.process import libc
from consul_lock_cli.process.child import Child
from consul_lock_cli.process.interrupt import Interrupted
from consul_lock_cli.process.parent import Ended
from consul_lock_cli.process.signals import ENDING, Signals
from consul_lock_cli.process.termination import Termination
from consul_lock_cli.spec.process import ProcessPolicy

# Below the range that the kernel takes for outgoing connections.
_PORT_MIN, _PORT_MAX = 10_000, 32_700
_PORTS = ("http", "server", "serf-lan", "serf-wan")

# Seconds.  It elects itself within 3; a busy machine takes longer.
_START = 30.0
# Seconds to end well, before it is killed: its data is in memory, so nothing is lost.
_STOP = 3.0
# Seconds for `consul version`, which needs a fraction of one.
_ASK = 15.0

# A port that was free may be taken before the agent gets to it: other ones are tried then.
_TRIES = 4
_TAKEN = "address already in use"

# Agents since then listen on one more port, 8503, unless they are configured not to: the second one
# on a host would not start.  Older ones refuse that setting.
_GRPC_TLS_SINCE = (1, 14)


class AgentFailed(Exception):
    """The agent did not start; the message has the end of its log."""


def find_consul() -> str | None:
    """The binary: $CONSUL_BIN, on PATH, or where ``scripts/get-consul`` puts it; else None."""
    asked = os.environ.get("CONSUL_BIN")
    if asked:
        if shutil.which(asked) is None:
            raise AgentFailed(f"CONSUL_BIN={asked} is no program")
        return asked
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return shutil.which("consul") or shutil.which(f"{cache}/consul-lock/consul-1.8.7/consul")


class ConsulAgent:
    """``with Agent(binary, signals) as agent:`` has a leader at ``agent.address``.

    It ends with the block; if consul-lock is killed, its guardian ends it.  Raises `AgentFailed`,
    and `Interrupted` if a signal comes while it starts.
    """

    def __init__(self, binary: str, signals: Signals) -> None:
        # Dear, and no part of `dev --help`.
        from uuid import uuid4

        self._binary = binary
        self._signals = signals
        self._node_id = str(uuid4())
        self._folder = Path(tempfile.mkdtemp(prefix="consul-lock-dev-"))
        self._log = self._folder / "log"
        self._ended = False
        self.address = ""

    def __enter__(self) -> Self:
        try:
            self._off = "grpc = -1"
            if _version_of(self._binary) >= _GRPC_TLS_SINCE:
                self._off += ", grpc_tls = -1"
            for attempt in range(1, _TRIES + 1):
                try:
                    self._start()
                    break
                except AgentFailed:
                    if attempt == _TRIES or _TAKEN not in self.log():
                        raise
        except BaseException:
            self._tidy_up()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._stop()
        finally:
            self._tidy_up()

    def alive(self) -> bool:
        """Whether it runs."""
        # All of them: what comes after its end is that nothing of it is left.
        for event in self._child.poll():
            self._ended = self._ended or isinstance(event, Ended)
        return not self._ended

    def log(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:].rstrip()

    def _start(self) -> None:
        ports = _free_ports(len(_PORTS))
        self._port = ports[0]
        self.address = f"http://127.0.0.1:{self._port}"
        command = [
            self._binary, "agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-node=dev",
            f"-node-id={self._node_id}", "-dns-port=-1", "-log-level=warn",
            f"-data-dir={self._folder / 'data'}",
            f"-hcl=ports {{ {self._off} }}", "-hcl=disable_update_check = true",
            *(f"-{name}-port={port}" for name, port in zip(_PORTS, ports, strict=True)),
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self._child = Child(command, self._signals, policy=ProcessPolicy(), output=log.fileno())
        self._ended = False
        try:
            self._child.go({"CONSUL_HTTP_ADDR": None})
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + _START
        while not self._ready():
            if not self.alive() or time.monotonic() > end:
                raise AgentFailed(f"{self._binary} agent did not start:\n{self.log()}")
            asked = libc.fetch(ENDING & self._signals.caught, 0.05)
            if asked is not None:
                raise Interrupted(asked)

    def _ready(self) -> bool:
        """It has a leader and has entered itself: without that there are no sessions.

        Another agent may have this port, and answer until this one has noticed it.
        """
        # Dear, and no part of `dev --help`; when it is wanted first, the agent starts anyway.
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/v1/catalog/nodes")
            answer = connection.getresponse()
            nodes = json.loads(answer.read()) if answer.status == 200 else []
            return any(node["ID"] == self._node_id for node in nodes)
        except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _stop(self) -> None:
        tree = self._child.tree
        # The binary may be a script that runs the real one.
        tree.stopped = True
        stopping = Termination(tree)
        stopping.begin(_STOP, signal.SIGTERM)
        end = now() + 2 * _STOP
        while self.alive() or not tree.gone():
            if self._ended:
                stopping.command_ended()
            stopping.look()
            libc.fetch({signal.SIGCHLD}, 0.05)
            if now() > end:
                break  # what is left is out of reach
        self._child.abandon()

    def _tidy_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _version_of(binary: str) -> tuple[int, ...]:
    """Of what ``consul version`` prints, such as (1, 8); () if it prints none."""
    # Dear, and no part of `dev --help`.
    import subprocess

    try:
        printed = subprocess.run(
            [binary, "version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_ASK,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()  # what is wrong with it shows when the agent is started
    found = re.search(rb"v(\d+)\.(\d+)", printed)
    return (int(found[1]), int(found[2])) if found else ()


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = SystemRandom().randint(_PORT_MIN, _PORT_MAX)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
