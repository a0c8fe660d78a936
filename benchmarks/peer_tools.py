"""The tools that hold a lock while a command runs, each with a server of its own."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from real import real_agent

from tests.cli.command import environment
from tests.support.agent import Agent, version_of
from tests.support.ports import free_port
from tests.support.waiting import eventually

# Nobody listens there.
_DEAD = "127.0.0.1:1"


class Tool:
    """One tool, with what its locks live in."""

    name = ""
    missing = "not tried"
    """What a cell says if it is not here."""

    def version(self) -> str:
        """What it calls itself; empty if it is not here."""
        raise NotImplementedError

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Its server runs inside of this."""
        yield

    def environment(self) -> dict[str, str]:
        return environment()

    def run(self, key: str, script: str, wait: float | None = None) -> list[str] | None:
        """The command line for a shell script under a lock.  None if it cannot wait like that."""
        raise NotImplementedError

    def program(self, key: str, program: str) -> list[str]:
        """The same for a program."""
        raise NotImplementedError

    def unreachable(self, key: str) -> list[str]:
        """The same, where the server cannot be reached."""
        raise NotImplementedError

    def lose(self, key: str) -> None:
        """Take a lock away from its holder, as an operator may."""
        raise NotImplementedError

    def freeze(self) -> bool:
        """Stop the server where it stands; False if there is none."""
        return False

    def thaw(self) -> None:
        """Let it go on."""


class Flock(Tool):
    """flock(1) of util-linux: a file on this host."""

    name = "flock"

    def version(self) -> str:
        if shutil.which("flock") is None:
            return ""
        said = subprocess.run(["flock", "--version"], capture_output=True, text=True, check=True)
        return said.stdout.split()[-1]

    @contextmanager
    def serving(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            self._folder = Path(folder)
            yield

    def _file(self, key: str) -> str:
        return str(self._folder / key)

    def run(self, key: str, script: str, wait: float | None = None) -> list[str] | None:
        patience = [] if wait is None else ["-n"] if wait == 0 else ["-w", str(wait)]
        return ["flock", *patience, self._file(key), "sh", "-c", script]

    def program(self, key: str, program: str) -> list[str]:
        return ["flock", self._file(key), program]

    def unreachable(self, key: str) -> list[str]:
        return ["flock", "/no/such/folder/lock", "true"]

    def lose(self, key: str) -> None:
        Path(self._file(key)).unlink()


class _OfConsul(Tool):
    """Both that use Consul."""

    def __init__(self) -> None:
        self._agent: Agent | None = None

    @property
    def agent(self) -> Agent:
        assert self._agent is not None
        return self._agent

    @contextmanager
    def serving(self) -> Iterator[None]:
        with real_agent() as self._agent:
            yield

    def environment(self) -> dict[str, str]:
        return environment(self.agent.address)

    def lose(self, key: str) -> None:
        entry = self.agent.entry(f"{key}/.lock")
        assert entry is not None
        self.agent.request("PUT", f"/v1/session/destroy/{entry['Session']}")

    def freeze(self) -> bool:
        self.agent.freeze()
        return True

    def thaw(self) -> None:
        self.agent.thaw()


class ConsulsOwn(_OfConsul):
    """`consul lock`, as it comes: it runs a shell."""

    name = "consul lock"

    def version(self) -> str:
        return version_of(real_agent().binary)

    def _command(self, *options: str) -> list[str]:
        return [str(self.agent.binary), "lock", *options]

    def run(self, key: str, script: str, wait: float | None = None) -> list[str] | None:
        if wait == 0:
            return None
        patience = [] if wait is None else [f"-timeout={wait:g}s"]
        return self._command(*patience, key, script)

    def program(self, key: str, program: str) -> list[str]:
        return self._command(key, program)

    def unreachable(self, key: str) -> list[str]:
        return self._command(f"-http-addr={_DEAD}", key, "true")


class Ours(_OfConsul):
    """`consul-lock run`."""

    name = "consul-lock"

    def version(self) -> str:
        command = [sys.executable, "-m", "consul_lock_cli", "version", "--json"]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        return str(json.loads(said.stdout)["version"])

    def _command(self, key: str, *options: str) -> list[str]:
        return [sys.executable, "-m", "consul_lock_cli", "run", "--key", key, *options, "--"]

    def run(self, key: str, script: str, wait: float | None = None) -> list[str] | None:
        patience = [] if wait is None else ["-w", f"{wait:g}s"]
        return [*self._command(key, *patience), "sh", "-c", script]

    def program(self, key: str, program: str) -> list[str]:
        return [*self._command(key), program]

    def unreachable(self, key: str) -> list[str]:
        return [*self._command(key, "--http-addr", _DEAD, "--retry-for", "1s"), "true"]


class Etcdctl(Tool):
    """`etcdctl lock`, and an etcd server: $ETCD_BIN is their folder, else they are on the PATH."""

    name = "etcdctl lock"
    missing = "not installed here"

    def _binary(self, name: str) -> str | None:
        return shutil.which(name, path=os.environ.get("ETCD_BIN") or None)

    def version(self) -> str:
        found = self._binary("etcdctl")
        if found is None or self._binary("etcd") is None:
            return ""
        said = subprocess.run([found, "version"], capture_output=True, text=True, check=True)
        return said.stdout.split()[2]

    @contextmanager
    def serving(self) -> Iterator[None]:
        clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._address = clients
        with tempfile.TemporaryDirectory() as folder:
            self._server = subprocess.Popen(
                [
                    str(self._binary("etcd")), f"--data-dir={folder}/data", "--name=peer",
                    f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}",
                    f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}",
                    f"--initial-cluster=peer={peers}",
                ],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                eventually(self._healthy, message="etcd serves")
                yield
            finally:
                self._server.kill()
                self._server.wait()

    def _healthy(self) -> bool:
        try:
            self._ask("/v3/maintenance/status", {})
        except (OSError, ValueError, AssertionError, http.client.HTTPException):
            return False
        return True

    def _ask(self, path: str, body: Any) -> Any:
        connection = http.client.HTTPConnection(self._address.rpartition("/")[2], timeout=5)
        try:
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, text
        return json.loads(text)

    def _command(self, address: str) -> list[str]:
        return [str(self._binary("etcdctl")), f"--endpoints={address}", "lock"]

    def run(self, key: str, script: str, wait: float | None = None) -> list[str] | None:
        if wait is not None:
            return None
        return [*self._command(self._address), key, "--", "sh", "-c", script]

    def program(self, key: str, program: str) -> list[str]:
        return [*self._command(self._address), key, program]

    def unreachable(self, key: str) -> list[str]:
        return [*self._command(f"http://{_DEAD}"), key, "true"]

    def lose(self, key: str) -> None:
        # The key of a lock is its name and the lease.
        first, end = (
            base64.b64encode(edge).decode() for edge in (f"{key}/".encode(), f"{key}0".encode())
        )
        (found,) = self._ask("/v3/kv/range", {"key": first, "range_end": end})["kvs"]
        self._ask("/v3/lease/revoke", {"ID": found["lease"]})

    def freeze(self) -> bool:
        self._server.send_signal(signal.SIGSTOP)
        return True

    def thaw(self) -> None:
        self._server.send_signal(signal.SIGCONT)


TOOLS: tuple[type[Tool], ...] = (Flock, ConsulsOwn, Etcdctl, Ours)
