"""`holder.py` of this folder as a process beside the test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.interop.go_command import environment
from tests.support.agent import Agent

_ROOT = Path(__file__).parents[2]


class Holding:
    """One run of it, for a lock or, with a limit, for slots; killed at the end of the block."""

    def __init__(self, agent: Agent, name: str, *options: object) -> None:
        command = [sys.executable, "-m", "tests.interop.holder", agent.address, name]
        self.process = subprocess.Popen(
            [*command, *map(str, options)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=environment(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def session(self) -> str:
        """Wait until it holds; its session, or the first of them."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline().strip()
        assert said, f"ended with {self.process.wait()}"
        return said

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()
