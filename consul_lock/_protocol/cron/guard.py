"""The cron guard: a job in the crontab of every host, run once for each slot.

A lock alone does not do that: a quick job is over when the next host comes.  So the record of the
job remembers which slot was last, and the run lock keeps one run from overlapping the next.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.cron.claim import SlotClaim
from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.record import CronRecord, CronState
from consul_lock._protocol.cron.run import CronRun, is_exit_code
from consul_lock._protocol.cron.run_lock import RunLock
from consul_lock._protocol.cron.store import change_record
from consul_lock._protocol.flow import Flow, Job, Now, Wall
from consul_lock._protocol.keys import CRON_SUFFIX, check_name
from consul_lock.errors import ConfigError, ConsulLockError

# Seconds for recording the end of a run: it is over, and waiting for this serves nothing.
_END_WITHIN = 5.0

# The same once the call was cut off.
_UNDO_WITHIN = 1.0


class CronCore:
    """A guard without its I/O.  One object may be shared by threads or tasks."""

    def __init__(self, client: ClientCore, name: str, plan: CronPlan) -> None:
        check_name(name)
        if name.endswith(CRON_SUFFIX):
            name, key = name.removesuffix(CRON_SUFFIX), name
            problem, hint = f"name={key!r} is the key of a record", f"give {name!r}"
            raise ConfigError(
                f"{problem}: {hint}", problem=problem, hint=hint, kind="name", settings=("name",)
            )
        self.client = client
        self.name = name
        self.plan = plan

    def claim(
        self, lock: RunLock | None, at: float | None, owner: Any
    ) -> tuple[SlotClaim, Job[CronRun[Any]]]:
        """Claim a slot.  The result is a `CronRun`."""
        claim = SlotClaim(self.client, self.name, self.plan, lock, owner)
        return claim, Job(claim.flow(at), lambda: _undo(claim))

    def leave(self, claim: SlotClaim, run: CronRun[Any], error: BaseException | None) -> Job[None]:
        """The end of the block: record how it ended, and release the run lock."""
        end = Ending(claim, run, error)
        return Job(end.flow(), end.undo)


def _undo(claim: SlotClaim) -> Flow[None]:
    """As if no run lock had ever been asked for.  A claim that was written stays: nobody may
    believe that the slot is free."""
    if claim.entry.undo is not None:
        yield from claim.entry.undo()


class Ending:
    """The end of one run."""

    def __init__(self, claim: SlotClaim, run: CronRun[Any], error: BaseException | None) -> None:
        self._claim = claim
        self._run = run
        self._error = error
        self._release: Job[None] | None = None

    def flow(self) -> Flow[None]:
        """Record it, then let go; raises `LockLost` if the lock was lost and nothing else was
        raised."""
        if not self._run:
            return
        lock = self._claim.lock
        yield from self._record(_END_WITHIN)
        if lock is not None:
            job = self._release = lock.leave(self._claim.entry.owner, self._error)
            yield from job.flow

    def undo(self) -> Flow[None]:
        """It was cut off: do what is left of it."""
        if not self._run:
            return
        if not self._run.recorded:
            yield from self._record(_UNDO_WITHIN)
        if self._release is None or self._release.undo is None:
            yield from _undo(self._claim)
        else:
            yield from self._release.undo()

    def _record(self, within: float) -> Flow[None]:
        claim, run = self._claim, self._run
        if claim.forked:
            return  # its parent goes on with it
        now = yield Now()
        moment = yield Wall()
        state, code = self._how(now)
        runtime = round(now - claim.started, 3)

        def alter(found: CronRecord) -> CronRecord | None:
            if found.claim == claim.id:
                return replace(found, state=state, finished_at=moment, exit=code, runtime=runtime)
            return _in_history(found, claim.id, state, runtime, code)

        try:
            known = run.record or CronRecord(claim.name)
            written = yield from change_record(claim.client, known, alter, within)
        except ConsulLockError:
            written = None
        run.recorded = written is not None
        run.record = written or run.record

    def _how(self, now: float) -> tuple[CronState, int | None]:
        hold = self._claim.lock.hold if self._claim.lock else None
        said = self._run.end
        code = said[1] if said else _exit_code(self._error)
        if hold is not None and not hold.counts(now):
            return CronState.LOST, code
        if said:
            return said
        return (CronState.DONE if _well(self._error) else CronState.FAILED), code


def _in_history(
    found: CronRecord, claim: str, state: CronState, runtime: float, code: int | None
) -> CronRecord | None:
    """The record of a run that others have followed already, as nothing keeps them apart."""
    past = tuple(
        each._replace(state=state, runtime=runtime, exit=code) if each.claim == claim else each
        for each in found.history
    )
    return replace(found, history=past) if past != found.history else None


def _well(error: BaseException | None) -> bool:
    return error is None or (isinstance(error, SystemExit) and error.code in (None, 0))


def _exit_code(error: BaseException | None) -> int | None:
    code = error.code if isinstance(error, SystemExit) else None
    return code if isinstance(code, int) and is_exit_code(code) else None
