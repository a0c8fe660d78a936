"""The workers of a torture run, from the start of the first to the end of the last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.support.agent import Agent
from tests.support.waiting import eventually
from tests.torture.history import HistoryWriter, start_of
from tests.torture.workload import Job, argv_of, observer_argv, stop

ROOT = Path(__file__).resolve().parents[2]

Popen = Callable[..., subprocess.Popen[Any]]
"""How a process is started: `subprocess.Popen`, or the same on a host of a stage."""

PATIENCE = 300.0
"""Seconds for workers to finish their turns: ends a run that has failed, and nothing else."""


class Worker:
    """One process."""

    def __init__(self, process: subprocess.Popen[Any], errors: Path, role: str) -> None:
        self.process = process
        self.errors = errors
        self.role = role
        self.child = process.pid, start_of(process.pid)
        self.signals: list[int] = []


class Workforce:
    """Starts workers and an observer, and writes down how they end.

    Their histories are in ``folder``; `histories` are all of them.  Use it as a context manager:
    whatever happens, its processes end with it.  ``root`` is a folder with the packages that they
    import, this project by default.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], *, root: Path = ROOT) -> None:
        self.folder = folder
        self._root = root
        self.environment = dict(environment)
        self.workers: list[Worker] = []
        self._observers: list[Worker] = []
        self._reached: tuple[str, Popen] = "", subprocess.Popen
        """Where Consul is for the observer, and how a process is started that finds it there."""
        self._writer = HistoryWriter(folder, "workforce")
        self._count = 0

    @property
    def histories(self) -> list[Path]:
        """The files that have been written so far."""
        return sorted(self.folder.glob("*.jsonl"))

    def start(self, job: Job, address: str, popen: Popen = subprocess.Popen) -> Worker:
        """Start a worker that finds Consul at this address."""
        worker = self._start(argv_of(job, self.folder), address, popen, "worker")
        self.workers.append(worker)
        return worker

    def observe(self, prefix: str, address: str, popen: Popen = subprocess.Popen) -> None:
        """Start an observer."""
        self._reached = address, popen
        argv = observer_argv(self.folder, prefix)
        self._observers.append(self._start(argv, address, popen, "worker"))

    def _start(self, argv: list[str], address: str, popen: Popen, role: str) -> Worker:
        self._count += 1
        errors = self.folder / f"stderr-{self._count}"
        with errors.open("wb") as file:
            process = popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                cwd=self._root,
                env={**self.environment, "CONSUL_HTTP_ADDR": address, "PYTHONFAULTHANDLER": "1"},
            )
        return Worker(process, errors, role)

    def kill(self, worker: Worker) -> None:
        """End one as a crash would."""
        worker.signals.append(signal.SIGKILL)
        worker.process.kill()
        self._end(worker)
        self.workers.remove(worker)

    def finish(self) -> None:
        """Let all finish their turns."""
        stop(self.folder)
        for worker in self.workers:
            self._end(worker)
        self.workers.clear()

    def inventory(self, agent: Agent, prefix: str) -> None:
        """Write down what is left, when it had the time to go; then the observers end, too."""
        found: dict[str, list[str]] = {}

        def gone() -> bool:
            try:
                found.update(left_behind(agent, prefix, self.folder, self._known()))
            except (OSError, ValueError) as error:
                raise AssertionError("the servers elect a leader") from error
            if found["keys"] and not found["sessions"] and not found["processes"]:
                self._clean(prefix)  # what the dead have left is for an operator
            return not any(found.values())

        with suppress(AssertionError):
            eventually(gone, PATIENCE)
        self._writer.write("left", **found)
        (self.folder / "stopped").touch()
        for observer in self._observers:
            self._end(observer)
        self._observers.clear()

    def _clean(self, prefix: str) -> None:
        address, popen = self._reached
        command = [sys.executable, "-m", "consul_lock_cli", "clean", "--yes", prefix]
        with (self.folder / "clean").open("ab") as log:
            cleaner = popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._root,
                env={**self.environment, "CONSUL_HTTP_ADDR": address},
            )
            cleaner.wait(PATIENCE)

    def _known(self) -> set[int]:
        return {observer.process.pid for observer in self._observers}

    def _end(self, worker: Worker) -> None:
        try:
            code = worker.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            # A worker that hangs is a finding, which its stacks explain.
            worker.process.send_signal(signal.SIGABRT)
            code = worker.process.wait()
        errors = worker.errors.read_text("utf-8", "replace")
        self._writer.exits(worker.role, worker.child, code, errors, signals=worker.signals)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in [*self.workers, *self._observers]:
            worker.process.kill()
            worker.process.wait()
        for pid in processes_of(self.folder, set()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes_of(folder: Path, known: set[int]) -> list[int]:
    """The processes that have the folder of the run in their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and bytes(folder) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return [pid for pid in found if pid not in known and pid != os.getpid()]


def left_behind(agent: Agent, prefix: str, folder: Path, known: set[int]) -> dict[str, list[str]]:
    """What is left.  The records of cron jobs are to stay."""
    services = agent.request("GET", "/v1/catalog/services").json()
    return {
        "keys": [key for key in agent.keys(prefix) if not key.endswith("/.cron")],
        "sessions": [session["ID"] for session in agent.sessions()],
        "services": [name for name in services if name != "consul"],
        "processes": [str(pid) for pid in processes_of(folder, known)],
    }
