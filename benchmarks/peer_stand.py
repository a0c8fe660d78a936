"""Where a tool is watched: its processes, what its command writes, and an end for all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from peer_tools import Tool

from tests.cli.command import alive
from tests.support.waiting import eventually

# Seconds.  What has not happened by then is taken not to happen.
PATIENCE = 12.0


class Stand:
    """One tool in one situation, with a key of its own.  It leaves no process behind."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.key = f"peers-{uuid4().hex[:8]}"
        self._mark = uuid4().hex
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name)
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._mark in _text(entry / "environ"):
                with suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)
        for process in self._started:
            process.communicate()
        self._temporary.cleanup()

    def start(self, command: list[str], stdin: str | None = None) -> subprocess.Popen[str]:
        """Start a command; ``stdin`` is what it can read there."""
        source = self.folder / "stdin"
        source.write_text(stdin or "")
        number = len(self._started)
        # Files, not pipes: a process that lives on would keep a pipe open.
        with (
            source.open() as given,
            (self.folder / f"stdout-{number}").open("w") as output,
            (self.folder / f"stderr-{number}").open("w") as errors,
        ):
            process = subprocess.Popen(
                command,
                env={**self.tool.environment(), "PEERS_MARK": self._mark},
                stdin=given,
                stdout=output,
                stderr=errors,
                text=True,
            )
        self._started.append(process)
        return process

    def hold(self, script: str = "wait") -> subprocess.Popen[str]:
        """Hold the lock with a command that has a child of its own; both can be watched."""
        ready = f"echo $! >{self.folder}/child; echo $$ >{self.folder}/pid"
        command = self.tool.run(self.key, f"sleep 300 & {ready}; {script}")
        assert command is not None
        process = self.start(command)
        eventually(lambda: self.text("pid"), message=f"{self.tool.name} starts its command")
        return process

    def text(self, name: str) -> str:
        """What is in a file of this folder so far."""
        return _text(self.folder / name).strip()

    def alive(self, name: str) -> bool:
        """Whether the process lives whose pid is in that file."""
        return alive(int(self.text(name)))

    def said(self, number: int = 0) -> str:
        """The last line that somebody said on stderr."""
        lines = self.text(f"stderr-{number}").splitlines()
        return lines[0] if lines else ""

    def next_starts(self, patience: float) -> float | None:
        """Seconds until another one gets the lock; None if not in time."""
        command = self.tool.run(self.key, f"echo >{self.folder}/next; echo y >{self.folder}/next")
        assert command is not None
        self.start(command)
        return seconds_until(lambda: bool(self.text("next")), patience)


def seconds_until(condition: Callable[[], bool], patience: float = PATIENCE) -> float | None:
    """How long it takes; None if it does not happen."""
    started = time.monotonic()
    with suppress(AssertionError):
        eventually(condition, patience)
        return time.monotonic() - started
    return None


def ending(code: int | None) -> str:
    """How a process ended, for people."""
    if code is None:
        return "does not end"
    return f"dies of signal {-code}" if code < 0 else f"exit code {code}"


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_bytes().decode(errors="replace")
    return ""
