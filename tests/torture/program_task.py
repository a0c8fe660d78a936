"""Tasks that take locks of one name, with one client.

`python -m tests.torture.program_task FOLDER JOB`; see `tests.torture.workload`.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from consul_lock import ConsulLockError, LockTimeout, aio
from tests.torture.holds import RELEASED
from tests.torture.pace import rest_async
from tests.torture.program_thread import kind_of, make_lock
from tests.torture.workload import BEAT, GAUGE, PAUSES, Diary, Job, Turn, turn_of

_TASKS = 3


class _Caller:
    """One task."""

    def __init__(self, diary: Diary, client: aio.Client, number: int) -> None:
        self._diary = diary
        self._client = client
        self._chance = random.Random(f"{diary.job.seed}.{number}")

    async def work(self) -> None:
        """Turn after turn.  Now and then one is cancelled while it waits, or holds."""
        while not self._diary.over:
            turn = asyncio.create_task(self._turn(turn_of(self._diary.job, self._chance)))
            if self._chance.random() < 0.1:
                await asyncio.wait([turn], timeout=self._chance.random())
                turn.cancel()
            with suppress(asyncio.CancelledError):
                await turn
            await rest_async(self._chance.choice(PAUSES))

    async def _turn(self, turn: Turn) -> None:
        lock = make_lock(aio, self._diary.job, turn, self._client)
        hold = self._diary.asks(turn)
        try:
            had = await self._acquire(lock, turn)
        except BaseException as error:
            why = kind_of(error) if isinstance(error, ConsulLockError) else "cancelled"
            self._diary.writer.write("quits", hold=hold, why=why)
            if isinstance(error, ConsulLockError):
                return
            raise
        if not had:
            self._diary.writer.write("quits", hold=hold, why="timeout")
            return
        begun = False
        try:
            more = {"slots": await lock.slots()} if turn.slots else {}
            begun = self._diary.begins(hold, turn, lock, more)
            if begun:
                await self._keep(hold, lock, self._chance.choice(self._diary.job.holds))
        except ConsulLockError:
            assert not begun, "only the question for the slot can fail"
        finally:
            if not begun:
                self._diary.writer.write("quits", hold=hold, why="no slot")
            outcome = RELEASED
            try:
                await lock.release()
            except ConsulLockError as error:
                outcome = kind_of(error)
            if begun:
                self._diary.writer.write("released", hold=hold, outcome=outcome)

    async def _acquire(self, lock: Any, turn: Turn) -> bool:
        timeout = self._chance.choice((None, None, None, 3.0))
        if self._diary.job.primitive == "election":
            with suppress(LockTimeout):
                await lock.campaign("me", timeout=timeout)
                return True
            return False
        more = {"n": turn.weight} if turn.weight > 1 else {}
        return bool(await lock.acquire(timeout=timeout, **more))

    async def _keep(self, hold: str, lock: Any, seconds: float) -> None:
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self._diary.over:
                await rest_async(BEAT)
                if not self._diary.looks(hold, lock):
                    return
        finally:
            self._diary.looks(hold, lock, "ends")


async def _gauge(diary: Diary) -> None:
    due = time.monotonic()
    while not diary.over:
        if time.monotonic() >= due:
            diary.writer.gauge()
            due += GAUGE
        await rest_async(BEAT)


async def work(diary: Diary) -> None:
    """Until it is over."""
    async with aio.Client() as client:
        callers = [_Caller(diary, client, number).work() for number in range(_TASKS)]
        await asyncio.gather(_gauge(diary), *callers)


def main(folder: str, job: str) -> None:
    """Work."""
    asyncio.run(work(Diary(Path(folder), Job.from_json(job))))


if __name__ == "__main__":
    main(*sys.argv[1:])
