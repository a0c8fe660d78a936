"""What the tests of `ls`, `status` and the like share."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import subprocess
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.cli.command import COMMAND, PATIENCE, Running, consul, environment
from tests.cli.in_process import in_process

Result = subprocess.CompletedProcess[str]

LOCK_FLAG = 3304740253564472344
SEMAPHORE_FLAG = 16210313421097356768


# Commands that read and write something in Consul, and print.  They start nothing and wait for
# nothing, so any process will do, and to start one takes a sixth of a second.
_COMMANDS = {
    "break",
    "check",
    "clean",
    "force-release",
    "holders",
    "list",
    "ls",
    "resize",
    "status",
}
_OF_CRON = {"check", "forget", "history", "ls", "pause", "reset", "resume", "show"}


def ask(address: str, *arguments: str, stdin: str | None = None, **more: str) -> Result:
    """Run a command to its end; those that only read and write, in this process."""
    env = environment(address, **more)
    reads = arguments[0] in _COMMANDS or (arguments[0] == "cron" and arguments[1] in _OF_CRON)
    plain = stdin is None and all(name.startswith("CONSUL") for name in more)
    if reads and plain and "--watch" not in arguments:
        return in_process(*arguments, env=env)
    return subprocess.run(
        [*COMMAND, *arguments],
        env=env,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def items(result: Result) -> list[dict[str, Any]]:
    """The items of a document of JSON."""
    document = json.loads(result.stdout)
    assert document["v"] == 1
    found: list[dict[str, Any]] = document["items"]
    return found


class Hand:
    """Holds locks as some other tool would, with sessions of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._sessions: list[str] = []

    def session(self) -> str:
        """A session without TTL, which ends with this fixture."""
        body = json.dumps({"Name": "a hand", "LockDelay": "0s", "Behavior": "delete"})
        made = consul(self._address, "PUT", "/v1/session/create", body)["ID"]
        self._sessions.append(made)
        return str(made)

    def hold(self, name: str, about: Any = "", session: str = "", below: str = "/.lock") -> str:
        """Hold a lock, with this about its holder; the session."""
        session = session or self.session()
        value = about if isinstance(about, str) else json.dumps(about)
        flags = LOCK_FLAG if below == "/.lock" else SEMAPHORE_FLAG
        path = f"/v1/kv/{quote(name + below)}?acquire={session}&flags={flags}"
        assert consul(self._address, "PUT", path, value.encode())
        return session

    def slots(self, name: str, limit: int, count: int) -> list[str]:
        """Hold slots of a semaphore; the sessions."""
        sessions = sorted(self.session() for _ in range(count))
        for session in sessions:
            self.hold(name, session=session, below=f"/{session}")
        holders = dict.fromkeys(sessions, True)
        document = json.dumps({"Limit": limit, "Holders": holders}, separators=(",", ":"))
        self.put(f"{name}/.lock", document, SEMAPHORE_FLAG)
        return sessions

    def put(self, key: str, value: str, flags: int = 0) -> None:
        """Write a key."""
        assert consul(self._address, "PUT", f"/v1/kv/{quote(key)}?flags={flags}", value.encode())

    def let_go(self, name: str, session: str) -> None:
        """Release a lock."""
        path = f"/v1/kv/{quote(name)}/.lock?release={session}&flags={LOCK_FLAG}"
        assert consul(self._address, "PUT", path, "")

    def destroy(self, session: str) -> None:
        """End a session."""
        consul(self._address, "PUT", f"/v1/session/destroy/{session}")

    def alive(self, session: str) -> bool:
        """Whether a session lives."""
        return bool(consul(self._address, "GET", f"/v1/session/info/{session}"))

    def clear(self, prefix: str) -> None:
        """Leave nothing behind."""
        for session in self._sessions:
            self.destroy(session)
        consul(self._address, "DELETE", f"/v1/kv/{quote(prefix)}?recurse")


@pytest.fixture(name="hand")
def hand_fixture(address: str, key: str) -> Iterator[Hand]:
    """Somebody who holds locks below this test's key, until its end."""
    made = Hand(address)
    yield made
    made.clear(key)


def polling(running: Running, address: str) -> bool:
    """Whether a command has begun to talk to the agent."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    inodes = {f"socket:[{row[9]}]" for row in _connections() if row[2].endswith(port)}
    if not os.access(f"/proc/{running.pid}/fd", os.R_OK):
        # It keeps its memory private, and only root sees its files: then it is one that this
        # process has not.
        return bool(inodes - set(_own_files()))
    for descriptor in Path(f"/proc/{running.pid}/fd").glob("*"):
        with suppress(OSError):
            if str(descriptor.readlink()) in inodes:
                return True
    return False


def _own_files() -> Iterator[str]:
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it was that of the look itself
            yield str(descriptor.readlink())


def _connections() -> list[list[str]]:
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [row.split() for row in rows]


def on_a_terminal(
    address: str, *arguments: str, typed: str | Callable[[], str] = "", **more: str
) -> tuple[int, str]:
    """Run a command with a terminal of its own; exit code and all output.

    It is typed when it asks for that, and may depend on what is so by then.
    """
    master, slave = pty.openpty()
    try:
        env = environment(address, **{"TERM": "xterm", **more})
        with subprocess.Popen(
            [*COMMAND, *arguments], env=env, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads
        ) as process:  # fmt: skip
            os.close(slave)
            asked = _until(master, "? [y/N]: ") if typed else ""
            os.write(master, (typed if isinstance(typed, str) else typed()).encode())
            return process.wait(PATIENCE), asked + _until(master)
    finally:
        os.close(master)


def _until(master: int, wanted: str | None = None) -> str:
    """What is written, up to something that is wanted, or to the end."""
    output = b""
    while wanted is None or wanted not in output.decode(errors="replace"):
        readable, _, _ = select.select([master], [], [], PATIENCE)
        assert readable, f"no end within {PATIENCE} s: {output!r}"
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end is closed
            part = b""
        if not part:
            break
        output += part
    return output.decode()
