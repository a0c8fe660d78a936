"""Starts commands under a lock, one after the other: `consul-lock run`, `leader`, `cron run`, or
`consul lock`.

`python -m tests.torture.program_command FOLDER JOB`; see `tests.torture.workload`.  The commands
are `tests.torture.program_child`, which write their own history.  Some wrappers are killed, ended
by TERM, stopped by SIGSTOP for a while, lose their guardian, or are killed together with it, if the
job says so.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.torture.history import start_of
from tests.torture.pace import rest
from tests.torture.workload import BEAT, PAUSES, Diary, Job, Turn, turn_of

SLOT = 5.0
"""Seconds of a cron slot."""

RETRIED_SLOT = 20.0
"""Seconds of one that may be tried again: enough for the lock of a dead attempt to be free, if
heartbeats are fast."""

OUTLIVES = 45.0
"""Seconds of a command whose wrapper is killed together with its guardian: the session has expired
by then, and the lock-delay is over."""

OWN_CODES = (0, 3)
"""What commands end with."""

_STOPPED = (1.0, 40.0)
"""Seconds for which a wrapper is stopped by SIGSTOP, at least and at most."""

_GRANDCHILDREN = ("none", "shorter", "longer", "session")

_COMMAND = (sys.executable, "-m", "consul_lock_cli")


class Launcher:
    """Starts one after the other."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self._job = diary.job
        self._chance = random.Random(diary.job.seed)

    def work(self) -> None:
        """Until it is over."""
        while not self._diary.over:
            self._launch(turn_of(self._job, self._chance))
            rest(self._chance.choice(PAUSES))

    def _launch(self, turn: Turn) -> None:
        hold = self._hold(turn)
        environment = {**os.environ, "TORTURE_HOLD": hold}
        disturbed = self._chance.random() < self._job.kills
        deed = self._chance.choice(self._job.deeds) if disturbed else ""
        begun = self._diary.folder / f"begun-{hold}"
        environment["TORTURE_BEGUN"] = str(begun)
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [*self._wrapper(turn), *self._command(turn, hold, deed)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
            )
            child = process.pid, start_of(process.pid)
            signals = self._wait(process, begun, hold, deed)
            begun.unlink(missing_ok=True)
            errors.seek(0)
            self._diary.writer.exits(
                "go" if self._job.caller == "go" else self._job.caller,
                child,
                process.returncode,
                errors.read().decode("utf-8", "replace"),
                own=OWN_CODES,
                signals=signals,
                hold=hold,
            )

    def _hold(self, turn: Turn) -> str:
        if self._job.caller == "cron":
            return self._diary.writer.new_hold()  # a cron slot is claimed or skipped: no wait
        if self._job.caller != "go":
            return self._diary.asks(turn)
        hold = self._diary.writer.new_hold()
        self._diary.writer.write("asks", hold=hold, side="go", **self._diary.about(turn))
        return hold

    def _wait(
        self, process: subprocess.Popen[bytes], begun: Path, hold: str, deed: str
    ) -> list[int]:
        """Wait for its end; what it may have died of."""
        if_held = deed == "both" or self._chance.random() < 0.7
        due = time.monotonic() + self._chance.uniform(0.5, 4.0)
        signals: list[int] = []
        while process.poll() is None:
            if (
                deed
                and not self._diary.over
                and (begun.exists() if if_held else time.monotonic() > due)
            ):
                signals = self._disturb(process, deed, hold)
                deed = ""
            elif self._diary.over and self._job.primitive == "election" and not signals:
                signals = self._disturb(process, "term", hold)
            rest(BEAT)
        return signals

    def _disturb(self, process: subprocess.Popen[bytes], deed: str, hold: str) -> list[int]:
        if deed == "both":
            self._kill_both(process, hold)
            return [signal.SIGKILL]
        if deed == "guardian":
            guardian = _guardian_of(process.pid)
            if guardian:
                with suppress(ProcessLookupError):
                    os.kill(guardian, signal.SIGKILL)
            return [signal.SIGKILL, signal.SIGTERM]
        if deed == "stop":
            process.send_signal(signal.SIGSTOP)
            rest(self._chance.uniform(*_STOPPED))
            process.send_signal(signal.SIGCONT)
            return []
        number = signal.SIGKILL if deed == "kill" else signal.SIGTERM
        process.send_signal(number)
        return [number, signal.SIGKILL, signal.SIGTERM]

    def _kill_both(self, process: subprocess.Popen[bytes], hold: str) -> None:
        """Neither sees the death of the other: the wrapper is stopped when its guardian dies."""
        process.send_signal(signal.SIGSTOP)
        while _state_of(process.pid) not in ("T", "Z"):
            rest(0.01)
        if guardian := _guardian_of(process.pid):
            # Written before that: this process, too, may be stopped at any moment.
            about = {"hold": hold, "wrapper": process.pid, "guardian": guardian}
            self._diary.writer.write("abandons", **about)
            with suppress(ProcessLookupError):
                os.kill(guardian, signal.SIGKILL)
        process.kill()

    def _wrapper(self, turn: Turn) -> list[str]:
        if self._job.caller == "go":
            more = [f"-n={self._job.limit}"] if self._job.primitive == "semaphore" else []
            return [os.environ["CONSUL_BIN"], "lock", "-shell=false", *more, self._job.name]
        times = [f"--ttl={self._job.ttl:g}s", f"--lock-delay={self._job.lock_delay:g}s"]
        times += [f"--kill-after={min(2.0, self._job.lock_delay / 3):g}s", "--daemons=stop"]
        if self._job.heartbeat is not None:
            times.append(f"--heartbeat={self._job.heartbeat:g}s")
        if self._chance.random() < 0.3:
            times.append("--foreground")
        if self._job.caller == "cron":
            every = RETRIED_SLOT if self._job.retries else SLOT
            slot = [f"--name={self._job.name}", f"--every={every:g}s"]
            slot += [
                f"--retry-crashed={self._job.retry_crashed}",
                f"--retry-failed={self._job.retry_failed}",
            ]
            return [*_COMMAND, "cron", "run", *slot, *times, "--"]
        if self._job.primitive == "election":
            return [*_COMMAND, "leader", f"--key={self._job.name}", *times, "--"]
        return [*_COMMAND, "run", *self._what(turn), *times, "--"]

    def _what(self, turn: Turn) -> Iterable[str]:
        keys = [f"--key={name}" for name in turn.names]
        match self._job.primitive:
            case "semaphore":
                return [*keys, f"--limit={self._job.limit}"]
            case "read_write":
                return [*keys, "--shared" if turn.mode == "read" else "--exclusive"]
            case "tree":
                return [*keys, "--tree"]
        return keys

    def _command(self, turn: Turn, hold: str, deed: str) -> list[str]:
        seconds = self._chance.choice(self._job.holds) + 0.2
        # `consul lock` does not stop those that outlive its command, with and without faults.
        kinds = ("none",) if self._job.caller == "go" else _GRANDCHILDREN
        grandchild = self._chance.choice(kinds)
        obstinate = "obstinate" if self._chance.random() < 0.2 else "willing"
        if deed == "both":
            # The kernel sends TERM to the command, and to none of its children.
            seconds, grandchild = OUTLIVES, self._chance.choice(("longer", "session"))
        code = self._chance.choice(OWN_CODES)
        words = [f"{seconds:g}", grandchild, obstinate, str(code), self._job.to_json()]
        folder = str(self._diary.folder)
        module = "tests.torture.program_child"
        # The name of the hold is last: `consul lock` names its session after its command.
        return [sys.executable, "-m", module, folder, *words, *turn.names, hold]


def _guardian_of(pid: int) -> int:
    """The child of a wrapper that guards its command; 0 if there is none yet."""
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "lock-guardian":
                return int(child)
    return 0


def _state_of(pid: int) -> str:
    """What a child that nobody has waited for does: T if it is stopped, Z if it has ended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def main(folder: str, job: str) -> None:
    """Work."""
    diary = Diary(Path(folder), Job.from_json(job), long_lived=False)
    Launcher(diary).work()


if __name__ == "__main__":
    main(*sys.argv[1:])
