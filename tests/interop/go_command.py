"""The real `consul lock`, run beside the locks of consul-lock."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

from tests.support.agent import Agent
from tests.support.waiting import eventually

# The child lives while the file "hold" exists, so it also ends when the test's folder is gone.
_CHILD = 'echo y >"$0/started"; while [ -e "$0/hold" ]; do sleep 0.02; done; echo y >"$0/ended"'

# Seconds within which a `consul lock` that is stopped has ended, which gives its child 5: ends a
# test that has failed, and nothing else.
_END = 120.0

PROMPTLY = 8.0
"""Seconds for what happens at once: far less than the 15 of Go's long poll and of its lock-delay,
and far more than a busy machine needs."""


def environment() -> dict[str, str]:
    """The environment, without the variables that say where Consul is."""
    return {k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")}


def run_go(agent: Agent, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A ``consul lock`` with these arguments, run to its end."""
    return subprocess.run(
        [str(agent.binary), "lock", f"-http-addr={agent.address}", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=False,
    )


class Peer:
    """One run of ``consul lock OPTIONS NAME child``; its child runs until `finish`.

    ``address`` is where it finds Consul, by default the agent itself.
    """

    def __init__(
        self,
        agent: Agent,
        folder: Path,
        name: str,
        *,
        options: Sequence[str] = (),
        address: str | None = None,
    ) -> None:
        self.folder = folder
        self.name = name
        self._agent = agent
        folder.mkdir()
        (folder / "hold").touch()
        self._log = (folder / "log").open("wb")
        where = f"-http-addr={address or agent.address}"
        command = [str(agent.binary), "lock", where, "-verbose", "-shell=false"]
        self.process = subprocess.Popen(
            [*command, *options, name, "sh", "-c", _CHILD, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment(),
        )

    @property
    def started(self) -> bool:
        """Its child runs, or has run: it has got the lock."""
        return (self.folder / "started").exists()

    @property
    def ended(self) -> bool:
        """Its child has come to its own end: nobody has killed it."""
        return (self.folder / "ended").exists()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return (self.folder / "log").read_text("utf-8", "replace")

    @property
    def session(self) -> str:
        """The id of its session, as soon as it has one."""
        # Go names a session after the command, which here ends with a folder of this run.
        mark = f"{self.folder}' at '"

        def find() -> str:
            assert self.process.poll() is None, self.output
            found = [each["ID"] for each in self._agent.sessions() if mark in each["Name"]]
            return str(found[0]) if found else ""

        return eventually(find, message="consul lock makes its session")

    def holds(self) -> float:
        """Wait until it has the lock and its child runs; the time of that."""
        eventually(lambda: self.started, message=f"consul lock gets {self.name!r}")
        return monotonic()

    def waits(self) -> None:
        """Wait until it contends for a lock, and see that it has not got it."""
        assert self.session
        self._sees_nothing_new(f"/v1/kv/{quote(self.name)}/.lock")

    def waits_for_a_slot(self) -> None:
        """Wait until it contends for a slot of a semaphore, and see that it has none."""
        contender = f"{self.name}/{self.session}"
        eventually(lambda: self._agent.entry(quote(contender)), message="it contends")
        self._sees_nothing_new(f"/v1/kv/{quote(self.name)}/?recurse")

    def _sees_nothing_new(self, where: str) -> None:
        # A blocking read of what does not change: time for it to begin its own.
        joint = "&" if "?" in where else "?"

        def unchanged() -> bool:
            index = self._index(where)
            return bool(self._index(f"{where}{joint}index={index}&wait=200ms") == index)

        eventually(unchanged, message=f"nothing changes below {where}")
        assert not self.started
        assert self.process.poll() is None, self.output

    def _index(self, where: str) -> Any:
        return self._agent.request("GET", where).headers["x-consul-index"]

    def freeze(self) -> None:
        """Stop it where it stands: it sees and does nothing until `thaw`."""
        self.process.send_signal(signal.SIGSTOP)
        # The signal has been sent, not obeyed: its threads stop one by one.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self.process.send_signal(signal.SIGCONT)

    def finish(self) -> float:
        """Let its child end; the time of that."""
        (self.folder / "hold").unlink(missing_ok=True)
        eventually((self.folder / "ended").exists, message="the child ends")
        return monotonic()

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(_END)

    def close(self) -> None:
        """End it, whatever it does."""
        (self.folder / "hold").unlink(missing_ok=True)
        if self.process.poll() is None:
            self.thaw()
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(0.5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(_END)
        self._log.close()
