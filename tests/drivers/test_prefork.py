"""Servers that load an application, fork workers from it, and replace those that die.

gunicorn with each of its workers, and uWSGI, where its emperor starts it.  The application holds a
lock from its import on: that is its master's, whatever becomes of the workers.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from consul_lock.testing import ServedWorld
from tests.contract.operator import Operator
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]

APPLICATION = "tests.drivers.program_wsgi:app"

PRELOADED = "drivers/prefork/preloaded"

WORKERS = 2

REQUESTS = 8
"""As many from four callers at once."""


class Server:
    """A server at a unix socket in a folder of its own."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], log: Path) -> None:
        self.folder = folder
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ask(self, _: object = None) -> dict[str, Any]:
        """What a worker says."""
        connection = http.client.HTTPConnection("server", timeout=120)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(120)
        try:
            connection.sock.connect(str(self.folder / "s"))
            connection.request("GET", "/")
            said: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert "error" not in said, said["error"]
        return said

    def serves(self) -> dict[str, Any] | None:
        """What a worker says, once it serves."""
        assert self.process.poll() is None, self.log
        try:
            return self.ask()
        except (OSError, http.client.HTTPException):
            return None

    def all_workers(self, but: int = 0) -> dict[int, dict[str, Any]]:
        """What each worker says, once all are there."""
        said = dict[int, dict[str, Any]]()

        def there() -> bool:
            with ThreadPoolExecutor(4) as pool:
                said.update((each["pid"], each) for each in pool.map(self.ask, range(REQUESTS)))
            said.pop(but, None)
            return len(said) >= WORKERS

        eventually(there)
        return said


@contextmanager
def prefork_server(
    address: str, *command: str, vassal: str | None = None, **more: str
) -> Iterator[Server]:
    """A server, ended with the block; ``more`` is for its environment."""
    # A short path, as it is that of a socket.
    with TemporaryDirectory(prefix="prefork-") as name:
        folder = Path(name)
        if vassal is not None:
            (folder / "vassal.ini").write_text(vassal.replace("FOLDER", name))
        log = folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [part.replace("FOLDER", name) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                env={
                    **os.environ,
                    "CONSUL_HTTP_ADDR": address,
                    "WSGI_FOLDER": name,
                    "HOME": name,
                    "PRELOAD": "1",
                    **more,
                },
                start_new_session=True,
            )
        try:
            yield Server(folder, process, log)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # all of it has ended
            process.wait()


def _belongs_to(master: int, operator: Operator, said: dict[int, dict[str, Any]]) -> None:
    """What was held before the fork is the master's; in no worker, which have their own."""
    assert {each["importer"] for each in said.values()} == {master}
    for pid, each in said.items():
        assert pid != master
        assert (each["held"], each["reason"], each["holder"]) == (False, "FORKED", pid)
    value = operator.value(f"{PRELOADED}/.lock")
    assert value is not None
    assert json.loads(value)["pid"] == master


GUNICORN = (sys.executable, "-m", "gunicorn", "-w", str(WORKERS), "-b", "unix:FOLDER/s")

_UNEXPECTED = ("Traceback", "Exception ignored", "shutdown", "consul_lock")


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_the_workers_of_gunicorn_have_nothing_of_what_was_preloaded(
    served: ServedWorld, operator: Operator, worker: str
) -> None:
    """Each has locks of its own, one at a time; a worker that is killed is replaced, and the
    master keeps its lock all the while.  In the end nothing is left."""
    command = (*GUNICORN, "--preload", "-k", worker, "--threads", "4", APPLICATION)
    with prefork_server(served.address, *command) as server:
        eventually(server.serves)
        session = operator.owner(f"{PRELOADED}/.lock")
        said = server.all_workers()
        _belongs_to(server.process.pid, operator, said)
        assert {each["patched"] for each in said.values()} == {worker == "gevent"}
        killed = min(said)
        os.kill(killed, signal.SIGKILL)
        _belongs_to(server.process.pid, operator, server.all_workers(but=killed))
        assert operator.owner(f"{PRELOADED}/.lock") == session
        server.process.terminate()
        assert server.process.wait(120) == 0, server.log
        found = [line for line in server.log.splitlines() if any(w in line for w in _UNEXPECTED)]
        assert [line for line in found if "Shutting down: Master" not in line] == []
    assert operator.keys("drivers/prefork") == {}
    left = [session["Name"] for session in operator.ask("GET", "/v1/session/list")]
    assert [name for name in left if str(killed) not in name] == []


def test_a_master_of_gunicorn_that_replaces_itself_hands_its_lock_on(
    served: ServedWorld, operator: Operator
) -> None:
    """The new one, a program that the old one has started, has none of its connections; it waits
    for what it preloads, and has it when the old one ends."""
    command = (*GUNICORN, "--preload", "--pid", "FOLDER/pid", APPLICATION)
    with prefork_server(served.address, *command) as server:
        eventually(server.serves)
        old = server.process.pid
        session = operator.owner(f"{PRELOADED}/.lock")
        server.process.send_signal(signal.SIGUSR2)
        eventually(lambda: operator.keys(f"{PRELOADED}/.queue/"))
        assert operator.owner(f"{PRELOADED}/.lock") == session
        [waiting] = [json.loads(e["Value"]) for e in operator.keys(f"{PRELOADED}/.queue/").values()]
        inherited = _sockets(old) & _sockets(waiting["pid"])
        assert len(inherited) == 1, "the one that it listens at, and no other"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0, server.log
        eventually(lambda: operator.owner(f"{PRELOADED}/.lock") not in (None, session))
        os.kill(waiting["pid"], signal.SIGTERM)
        eventually(lambda: operator.keys("drivers/prefork") == {})
        eventually(lambda: operator.sessions() == set())


def _sockets(pid: int) -> set[str]:
    found = set[str]()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it is closed just now
            found.add(str(descriptor.readlink()))
    return {target for target in found if target.startswith("socket:")}


UWSGI = shutil.which("uwsgi", path=str(Path(sys.executable).parent)) or shutil.which("uwsgi")

VASSAL = f"""
[uwsgi]
http-socket = FOLDER/s
master = true
processes = {WORKERS}
enable-threads = true
single-interpreter = true
need-app = true
die-on-term = true
py-call-uwsgi-fork-hooks = true
virtualenv = {sys.prefix}
pythonpath = {ROOT}
module = {APPLICATION}
"""


def test_the_workers_of_a_vassal_of_uwsgi_have_nothing_of_what_was_preloaded(
    served: ServedWorld, operator: Operator
) -> None:
    """They are forked in C.  A worker that is killed is replaced, and the vassal's master keeps its
    lock; it ends without a word to Python, so that lock is freed as after a crash."""
    assert UWSGI is not None, "pyuwsgi, one of the tools of the project, is not installed"
    command = (UWSGI, "--emperor", "FOLDER", "--emperor-wrapper", UWSGI)
    with prefork_server(served.address, *command, vassal=VASSAL) as server:
        master = eventually(server.serves)["importer"]  # type: ignore[index] # it is true
        session = operator.owner(f"{PRELOADED}/.lock")
        said = server.all_workers()
        assert master != server.process.pid
        _belongs_to(master, operator, said)
        killed = min(said)
        os.kill(killed, signal.SIGKILL)
        _belongs_to(master, operator, server.all_workers(but=killed))
        assert operator.owner(f"{PRELOADED}/.lock") == session
        (server.folder / "vassal.ini").unlink()
        eventually(lambda: not Path(f"/proc/{master}").exists())
        assert "Traceback" not in server.log
        assert "NO MERCY" not in server.log
    assert set(operator.keys("drivers/prefork")) == {f"{PRELOADED}/.lock"}
