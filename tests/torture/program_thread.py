"""Threads that take locks of one name, with one client.

`python -m tests.torture.program_thread FOLDER JOB`; see `tests.torture.workload`.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import consul_lock
from consul_lock import Client, ConsulLockError, LockTimeout
from tests.torture.holds import RELEASED
from tests.torture.pace import rest
from tests.torture.workload import BEAT, PAUSES, Diary, Job, Turn, turn_of

_THREADS = 2


def make_lock(api: Any, job: Job, turn: Turn, client: Any) -> Any:
    """A lock for a turn; ``api`` is `consul_lock` or `consul_lock.aio`."""
    options = {
        "client": client,
        "ttl": job.ttl,
        "lock_delay": job.lock_delay,
        "heartbeat": job.heartbeat,
    }
    match job.primitive:
        case "election":
            return api.Election(job.name, **options)
        case "semaphore":
            return api.Semaphore(job.name, job.limit, **options)
        case "read_write":
            lock = api.ReadWriteLock(job.name, **options)
            return lock.read() if turn.mode == "read" else lock.write()
        case "tree":
            return api.Lock(turn.names[0], tree=True, **options)
        case "multilock" if len(turn.names) > 1:
            return api.MultiLock(turn.names, **options)
    return api.Lock(turn.names[0], **options)


def kind_of(error: ConsulLockError) -> str:
    """The stable word for what went wrong."""
    return str(getattr(error, "kind", "") or type(error).__name__)


class _Caller:
    """One thread."""

    def __init__(self, diary: Diary, client: Client, number: int) -> None:
        self._diary = diary
        self._client = client
        self._chance = random.Random(f"{diary.job.seed}.{number}")

    def work(self) -> None:
        """Turn after turn."""
        while not self._diary.over:
            self._turn(turn_of(self._diary.job, self._chance))
            rest(self._chance.choice(PAUSES))

    def _turn(self, turn: Turn) -> None:
        lock = make_lock(consul_lock, self._diary.job, turn, self._client)
        hold = self._diary.asks(turn)
        try:
            had = self._acquire(lock, turn)
            more = {"slots": lock.slots()} if had and turn.slots else {}
        except ConsulLockError as error:
            self._diary.writer.write("quits", hold=hold, why=kind_of(error))
            _drop(lock)
            return
        if not had:
            self._diary.writer.write("quits", hold=hold, why="timeout")
        elif self._diary.begins(hold, turn, lock, more):
            self._keep(hold, lock, self._chance.choice(self._diary.job.holds))
        else:
            _drop(lock)

    def _acquire(self, lock: Any, turn: Turn) -> bool:
        timeout = self._chance.choice((None, None, None, 3.0))
        if self._diary.job.primitive == "election":
            with suppress(LockTimeout):
                lock.campaign("me", timeout=timeout)
                return True
            return False
        more = {"n": turn.weight} if turn.weight > 1 else {}
        return bool(lock.acquire(timeout=timeout, **more))

    def _keep(self, hold: str, lock: Any, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._diary.over:
            rest(BEAT)
            if not self._diary.looks(hold, lock):
                return _drop(lock)
        self._diary.looks(hold, lock, "ends")
        outcome = RELEASED
        try:
            lock.release()
        except ConsulLockError as error:
            outcome = kind_of(error)
        self._diary.writer.write("released", hold=hold, outcome=outcome)
        return None


def _drop(lock: Any) -> None:
    """Give back what is lost, which says so and sends nothing."""
    with suppress(ConsulLockError):
        lock.release()


def main(folder: str, job: str) -> None:
    """Work."""
    diary = Diary(Path(folder), Job.from_json(job))
    with Client() as client:
        callers = [_Caller(diary, client, number) for number in range(_THREADS)]
        threads = [threading.Thread(target=caller.work) for caller in callers]
        for thread in threads:
            thread.start()
        diary.gauge_until_over()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
