"""A command under a lock, and its own child: each writes that it lives, from inside.

`python -m tests.torture.program_child FOLDER SECONDS GRANDCHILD OBSTINATE CODE JOB NAME... HOLD`
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.torture.history import HistoryWriter, boottime
from tests.torture.pace import rest
from tests.torture.workload import BEAT, Job

LONGER = 3.0
"""Seconds for which a grandchild would go on when the command has ended."""


def main(
    folder: str, seconds: str, grandchild: str, obstinate: str, code: str, job: str, *names: str
) -> int:
    """Live for some seconds, or until a signal."""
    *held, hold = names
    if obstinate == "obstinate":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    of = Job.from_json(job)
    writer = HistoryWriter(Path(folder), "child")
    token = int(os.environ.get("CONSUL_LOCK_TOKEN") or 0)
    name = f"{hold}@{token}" if token else hold
    index = os.environ.get("CONSUL_LOCK_SLOT_INDEX")
    now = boottime()
    writer.write(
        "begins",
        hold=name,
        asked=hold,
        kind=of.kind,
        names=held,
        mode="read" if os.environ.get("CONSUL_LOCK_MODE") == "shared" else "write",
        weight=1,
        limit=of.limit,
        lock_delay=of.lock_delay,
        session=os.environ.get("CONSUL_LOCK_SESSION", ""),
        token=token,
        side="go" if of.caller == "go" else "library",
        before=now,
        after=now,
        slots=[int(index)] if index and of.primitive == "semaphore" else [],
        slot=os.environ.get("CONSUL_LOCK_CRON_SLOT", ""),
        attempt=int(os.environ.get("CONSUL_LOCK_CRON_ATTEMPT") or 0),
        retries=of.retries,
    )
    if begun := os.environ.get("TORTURE_BEGUN"):
        Path(begun).touch()
    if grandchild != "none":
        _start_grandchild(float(seconds), grandchild)
    end = time.monotonic() + float(seconds)
    what = "looks"
    while what == "looks":
        rest(BEAT)
        over = time.monotonic() >= end or (Path(folder) / "stop").exists()
        what = "ends" if over else "looks"
        now = boottime()
        writer.write(what, hold=name, before=now, after=now, held=True)
    return int(code)


def _start_grandchild(seconds: float, how: str) -> None:
    """The same, once more, without a child of its own."""
    folder, _, _, obstinate, code, *rest = sys.argv[1:]
    lives = seconds / 2 if how == "shorter" else seconds + LONGER
    module = "tests.torture.program_child"
    words = [folder, f"{lives:g}", "none", obstinate, code, *rest]
    subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdin=subprocess.DEVNULL,
        start_new_session=how == "session",
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
