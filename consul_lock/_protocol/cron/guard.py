"""The cron guard: a job in the crontab of every host, run once for each slot.

A lock alone does not do that: a quick job is over when the next host comes.  So the record of the
job remembers which slot was last, and the run lock keeps one run from overlapping the next.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.cron.claim import SlotClaim
from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.record import CronRecord, CronState
from consul_lock._protocol.cron.reports import report_end
from consul_lock._protocol.cron.run import CronRun, is_exit_code
from consul_lock._protocol.cron.run_lock import RunLock
from consul_lock._protocol.cron.store import NotProved, change_record
from consul_lock._protocol.flow import Flow, Job, Now, Wall
from consul_lock._protocol.keys import CRON_SUFFIX, check_name
from consul_lock._protocol.reporter import Listener
from consul_lock.errors import ConfigError, ConsulLockError, LockLost

# Seconds for recording the end of a run: it is over, and waiting for this serves nothing.
_END_WITHIN = 5.0

# The same once the call was cut off.
_UNDO_WITHIN = 1.0

# Times that the end is written: under the run lock, and without it if that turns out to be lost.
_ENDS_MAX = 2


class CronCore:
    """A guard without its I/O.  One object may be shared by threads or tasks."""

    def __init__(
        self,
        client: ClientCore,
        name: str,
        plan: CronPlan,
        listeners: tuple[Listener, ...] = (),
    ) -> None:
        check_name(name)
        if name.endswith(CRON_SUFFIX):
            name, key = name.removesuffix(CRON_SUFFIX), name
            raise ConfigError(
                problem=f"name={key!r} is the key of a record",
                hint=f"give {name!r}",
                kind="name",
                settings=("name",),
            )
        self.client = client
        self.name = name
        self.plan = plan
        self.listeners = listeners

    def claim(
        self, lock: RunLock | None, at: float | None, owner: Any
    ) -> tuple[SlotClaim, Job[CronRun[Any]]]:
        """Claim a slot.  The result is a `CronRun`."""
        claim = SlotClaim(self.client, self.name, self.plan, lock, owner, self.listeners)
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
    """The end of one run.

    The record and the caller have to say the same of it.  Whether the lock was held to the end is
    for Consul to say, and it says so once: in the transaction that writes the end.  With two
    questions a session that ends between them would give two answers:

        job       ends
        host      writes "done" if the run lock is held     accepted: it was held when the job ended
        Raft                          the session ends      a break, or an outage
        host                                    releases    refused: that the lock is gone by now
                                                            is no loss of this run

    If the write is refused for the lock, the hold is lost, the record says so, and the release
    raises `LockLost`.  If nothing can be written, the release alone decides, and the run is shown
    as lost unless it comes to its end.
    """

    def __init__(self, claim: SlotClaim, run: CronRun[Any], error: BaseException | None) -> None:
        self._claim = claim
        self._run = run
        self._error = error
        self._release: Job[None] | None = None
        self._proved = False
        """The end was written in a transaction that Consul refuses without the run lock."""
        self._reported = False

    def flow(self) -> Flow[None]:
        """Record it, then let go; raises `LockLost` if the lock was lost and nothing else was
        raised."""
        self._claim.ending = True
        if not self._run:
            return
        lock = self._claim.lock
        yield from self._record(_END_WITHIN)
        if lock is not None:
            job = self._release = lock.leave(self._claim.entry.owner, self._error)
            try:
                yield from job.flow
            except LockLost:
                if not self._proved:
                    raise

    def undo(self) -> Flow[None]:
        """It was cut off: do what is left of it."""
        self._claim.ending = True
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
        runtime = round(now - claim.started, 3)
        written: CronRecord | None = None
        end = RunEnd(claim.id, CronState.LOST, moment, runtime, None)
        try:
            for _ in range(_ENDS_MAX):
                now = yield Now()
                state, code = self._how(now)
                end = RunEnd(claim.id, state, moment, runtime, code)
                refused, written = yield from self._write(end, within)
                if refused is None:
                    break
                yield from claim.entry.disproved(refused)
        except ConsulLockError:
            written = None
        run.recorded = written is not None
        run.record = written or run.record
        if not self._reported:
            self._reported = True
            report_end(claim, run, end)

    def _write(
        self, end: RunEnd, within: float
    ) -> Flow[tuple[TxnResult | None, CronRecord | None]]:
        """Write it under the run lock, if it is not lost.  Returns the answer that refused that
        for the lock, if one did, and the record that was written."""
        claim, lock = self._claim, self._claim.lock
        hold = lock.hold if lock is not None else None
        proofs: list[dict[str, Any]] = []
        if lock is not None and hold is not None and end.state is not CronState.LOST:
            proofs = lock.proof(hold)
        known = self._run.record or CronRecord(claim.name)
        try:
            written = yield from change_record(
                claim.client, known, end.alter, within, proofs=proofs
            )
        except NotProved as error:
            return error.outcome, None
        self._proved = bool(proofs) and written is not None
        return None, written

    def _how(self, now: float) -> tuple[CronState, int | None]:
        hold = self._claim.lock.hold if self._claim.lock else None
        said = self._run.end
        code = said[1] if said else _exit_code(self._error)
        if hold is not None and not hold.counts(now):
            return CronState.LOST, code
        if said:
            return said
        return (CronState.DONE if _well(self._error) else CronState.FAILED), code


class RunEnd(NamedTuple):
    """How a run has ended."""

    claim: str
    state: CronState
    finished_at: float
    runtime: float
    exit: int | None

    def alter(self, found: CronRecord) -> CronRecord | None:
        """The record with it.  Others may have followed already, where nothing keeps them apart:
        then it is in the history."""
        if self.state is CronState.DONE:
            found = replace(found, last_success=self.finished_at)
        if found.claim == self.claim:
            return replace(found, **self._asdict())
        past = tuple(
            each._replace(state=self.state, runtime=self.runtime, exit=self.exit)
            if each.claim == self.claim
            else each
            for each in found.history
        )
        return replace(found, history=past) if past != found.history else None


def _well(error: BaseException | None) -> bool:
    return error is None or (isinstance(error, SystemExit) and error.code in (None, 0))


def _exit_code(error: BaseException | None) -> int | None:
    code = error.code if isinstance(error, SystemExit) else None
    return code if isinstance(code, int) and is_exit_code(code) else None
