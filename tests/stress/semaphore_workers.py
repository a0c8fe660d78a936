"""Twenty processes that want slots of one semaphore, and somebody who is hard on them."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.interop.go_command import environment
from tests.support.agent import Agent
from tests.support.event_log import OpenFile, SharedEventLog
from tests.support.overlap_check import History
from tests.support.waiting import eventually

_ROOT = Path(__file__).resolve().parents[2]

# Seconds: ends a test that has failed, and nothing else.
PATIENCE = 120.0

# Seconds that one stands still: some notice nothing, most wake up when they were followed.
_FREEZES = (1.0, 7.0, 9.0, 12.0)


class SemaphoreWorkers:
    """Workers, each a process.  Who is killed is replaced."""

    def __init__(self, agent: Agent, name: str, limit: int, size: int, folder: Path) -> None:
        self.history = History()
        self._agent = agent
        self._name = name
        self._limit = limit
        self._size = size
        self._folder = folder
        self._log = SharedEventLog(folder / "events")
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._errors: dict[str, Path] = {}
        self._frozen: dict[str, float] = {}
        """Until when."""

    def __enter__(self) -> Self:
        try:
            for _ in range(self._size):
                self._add()
            eventually(self._all_at_work, PATIENCE, message="all have asked")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._end()

    def look(self) -> History:
        """The history so far.  Fails if a worker has ended by itself."""
        self._thaw(time.monotonic())
        with self._log.open() as log:
            self._catch_up(log)
        for pid, worker in self._workers.items():
            if worker.poll() is not None:  # not an AssertionError, for which one would wait on
                raise RuntimeError(f"worker {pid} ended by itself: {self._complaints(worker)}")
        return self.history

    def kill(self, *, holder: bool) -> bool:
        """End one that holds, or one that does not, as a crash would; False if there is none."""
        with self._log.open() as log:
            self._catch_up(log)
            pids = self._those_that(holder)
            if not pids:
                return False
            # With the log open: it cannot write any more, and is dead when its death is written.
            worker = self._workers.pop(random.choice(sorted(pids)))
            worker.kill()
            worker.wait(PATIENCE)
            log.note("killed", str(worker.pid))
            self._catch_up(log)
        self._close(worker)
        self._add()
        return True

    def freeze(self, *, holder: bool) -> bool:
        """Stop one for some seconds, as a machine that swaps or a debugger would."""
        with self._log.open() as log:
            self._catch_up(log)
            pids = self._those_that(holder)
            if not pids:
                return False
            # With the log open: it does not stand still while it keeps others from writing.
            pid = random.choice(sorted(pids))
            self._workers[pid].send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, int(pid), os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            log.note("frozen", pid)
            self._catch_up(log)
        self._frozen[pid] = time.monotonic() + random.choice(_FREEZES)
        return True

    def destroy(self, *, holder: bool) -> bool:
        """End the session of one that holds, or of one that does not, as an operator would."""
        with self._log.open() as log:
            self._catch_up(log)
            held = {hold.session for hold in self.history.open.values()}
            known = held if holder else self._contenders() - held
            if not known:
                return False
            session = random.choice(sorted(known))
            log.note("destroyed", "", session=session)
            self._catch_up(log)
        answer = self._agent.request("PUT", f"/v1/session/destroy/{session}")
        assert answer.status == 200, answer
        return True

    def finish(self) -> History:
        """Let all finish what they do, and see that none complains."""
        self._thaw(math.inf)
        for worker in self._workers.values():
            assert worker.stdin is not None
            worker.stdin.close()
        for worker in self._workers.values():
            assert worker.wait(PATIENCE) == 0, self._complaints(worker)
        with self._log.open() as log:
            self._catch_up(log)
        return self.history

    def _catch_up(self, log: OpenFile) -> None:
        self.history.read(self._log.news(log))

    def _those_that(self, holder: bool) -> set[str]:
        """The processes that hold, or those that do not; frozen ones are left in peace."""
        pids = set(self.history.asked) - set(self._frozen)
        return {pid for pid in pids if (pid in self.history.open) is holder}

    def _thaw(self, now: float) -> None:
        """Let those go on whose time is over."""
        for pid in [pid for pid, until in self._frozen.items() if until <= now]:
            del self._frozen[pid]
            self._workers[pid].send_signal(signal.SIGCONT)

    def _all_at_work(self) -> bool:
        return len(self.look().asked) == self._size

    def _contenders(self) -> set[str]:
        """Sessions that wait or hold, by Consul's word."""
        keys = self._agent.keys(f"{self._name}/")
        return {key.rpartition("/")[2] for key in keys} - {".lock"}

    def _add(self) -> None:
        command = [sys.executable, "-m", "tests.stress.worker", self._agent.address, self._name]
        errors = self._folder / f"errors-{len(list(self._folder.iterdir()))}"
        with errors.open("wb") as file:
            worker = subprocess.Popen(
                [*command, str(self._limit), str(self._log.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=file,
                cwd=_ROOT,
                env=environment(),
            )
        self._workers[str(worker.pid)] = worker
        self._errors[str(worker.pid)] = errors

    def _complaints(self, worker: subprocess.Popen[bytes]) -> str:
        return f"exit code {worker.returncode}\n{self._errors[str(worker.pid)].read_text()}"

    def _end(self) -> None:
        for worker in self._workers.values():
            worker.kill()
            worker.wait(PATIENCE)
            self._close(worker)

    def _close(self, worker: subprocess.Popen[bytes]) -> None:
        assert worker.stdin is not None
        worker.stdin.close()
