"""The real `consul lock`, run beside our own locks."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from urllib.parse import quote

from tests.stage.agent import Agent
from tests.waiting import eventually

# The child lives while the file "hold" exists, so it also ends when the test's folder is gone.
_CHILD = 'echo y >"$0/started"; while [ -e "$0/hold" ]; do sleep 0.02; done; echo y >"$0/ended"'

# Seconds within which a `consul lock` that was told to end has ended: it gives its child 5.
_END = 20.0


class Peer:
    """One run of ``consul lock OPTIONS NAME child``; its child runs until `finish`."""

    def __init__(
        self, binary: str, agent: Agent, folder: Path, name: str, *, options: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.name = name
        self._agent = agent
        folder.mkdir()
        (folder / "hold").touch()
        self._log = (folder / "log").open("wb")
        command = [binary, "lock", f"-http-addr={agent.address}", "-verbose", "-shell=false"]
        self.process = subprocess.Popen(
            [*command, *options, name, "sh", "-c", _CHILD, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if not k.startswith("CONSUL_")},
        )

    @property
    def started(self) -> bool:
        """Its child runs, or has run: it has got the lock."""
        return (self.folder / "started").exists()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def holds(self) -> float:
        """Wait until it has the lock and its child runs; the time of that."""
        eventually(lambda: self.started, message=f"consul lock gets {self.name!r}")
        return monotonic()

    def waits(self) -> None:
        """Wait until it contends, and see that it has not got the lock."""
        place = f"at '{self.name}'"
        eventually(
            lambda: any(place in session["Name"] for session in self._agent.sessions()),
            message="consul lock makes its session",
        )
        # A blocking read of a key that does not change: time for it to begin its own.
        key = f"/v1/kv/{quote(self.name)}/.lock"
        index = self._agent.request("GET", key).headers["x-consul-index"]
        answer = self._agent.request("GET", f"{key}?index={index}&wait=200ms")
        assert answer.headers["x-consul-index"] == index
        assert not self.started
        assert self.process.poll() is None, self.output

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
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(0.5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(_END)
        self._log.close()
