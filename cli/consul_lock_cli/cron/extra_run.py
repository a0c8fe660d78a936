"""A run of a cron job outside of its slots: the middle of `cron run-now`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consul_lock_cli.base.clock import now
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import shown
from consul_lock_cli.cron.claim import state_of
from consul_lock_cli.process.interrupt import OutOfTime
from consul_lock_cli.process.outcome import ProcessResult, exit_code
from consul_lock_cli.run.locked_command import LockedCommand

if TYPE_CHECKING:
    from consul_lock import Client, CronRecords, CronState
    from consul_lock_cli.run.deadline import LockDeadline
    from consul_lock_cli.spec.lock import Lockable

# Seconds in which the end is to be recorded: the run is over, and the lock is held meanwhile.
_RECORDING = 5.0

# Variables of a run of a slot, which may come from one that started this.
_OF_A_SLOT = ("CONSUL_LOCK_CRON_SLOT", "CONSUL_LOCK_CRON_SLOT_EPOCH", "CONSUL_LOCK_CRON_ATTEMPT")


class ExtraRun(LockedCommand):
    """A command under the run lock of a cron job.  Its end is recorded while that is held."""

    def __init__(self, name: str, new: bool, *args: Any) -> None:
        super().__init__(*args)
        self._name = name
        self._new = new
        self._records: CronRecords | None = None
        self._status_file.know(name=name)

    def _lock(self, client: Client, deadline: LockDeadline) -> Lockable:
        """The run lock, of a job that there is: that of a misspelt name would keep nobody out."""
        from consul_lock import CronRecords

        records = self._records = CronRecords(client)
        found = self._act.interruptibly(lambda: records.record(self._name))
        if found is None and not self._new:
            raise Misuse(
                f"there is no cron job {shown(self._name, 512)}: it has no record",
                "--new runs it before its first slot",
            )
        return super()._lock(client, deadline)

    def _told(self, lock: Lockable, slot: int | None, acquired: float) -> dict[str, str | None]:
        told = super()._told(lock, slot, acquired)
        return {**told, **dict.fromkeys(_OF_A_SLOT), "CONSUL_LOCK_CRON_NAME": self._name}

    def _ended(self, lock: Lockable, ended: ProcessResult, acquired: float, begun: float) -> bool:
        """Record it.  The record and the exit code say the same: if the lock turns out to be lost
        here, the run is a lost one, and if it is lost later, it is not."""
        from consul_lock import CronState, LockLost, NotHeld

        state = state_of(ended)
        about = {"started_at": acquired, "runtime": round(now() - begun, 3)}
        if state is not CronState.LOST:
            try:
                return self._record(state, exit_code(ended), {**about, "lock": lock})
            except (LockLost, NotHeld):
                state = CronState.LOST
        self._record(state, exit_code(ended), about)
        return False

    def _record(self, state: CronState, code: int, about: dict[str, Any]) -> bool:
        """Whether it was recorded; trouble is a warning.  Raises `LockLost` and `NotHeld`."""
        from consul_lock import ConsulLockError, LockLost, NotHeld

        records = self._records
        assert records is not None
        why = "interrupted by a signal"
        try:
            if self._act.finish(
                lambda: records.add_run(self._name, state, code, **about), _RECORDING
            ):
                return True
        except (LockLost, NotHeld):
            raise
        except (ConsulLockError, OutOfTime) as error:
            why = str(error)
        self._console.warn(
            f"the outcome of this extra run of {self._spec.title} could not be recorded: {why}",
            event="unrecorded",
        )
        return False
