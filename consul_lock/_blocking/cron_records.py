# generated from consul_lock/_async/cron_records.py, by scripts/unasync.py; do not edit
"""The records of cron guards for threads.  It decides nothing: a method runs a flow."""

from __future__ import annotations

from consul_lock._blocking.client import Client, chosen
from consul_lock._blocking.lock import Lock
from consul_lock._protocol.cron.admin import CronAdmin
from consul_lock._protocol.cron.record import CronProblem, CronRecord, CronState


class CronRecords:
    """The records of cron guards, seen from outside, by an operator or a tool.

    To look costs no session and takes no lock.  Values written by others are untrusted text: escape
    it before it goes to a terminal.
    """

    def __init__(self, client: Client | None = None) -> None:
        self._client = chosen(client)
        self._core = CronAdmin(self._client._core)

    def below(self, prefix: str = "") -> list[CronRecord | CronProblem]:
        """All records of names that begin with a prefix, in one read of everything below it.

        What is no record, or one of a newer version, is a `CronProblem`.
        """
        return self._client._run(self._core.below(prefix))

    def record(self, name: str) -> CronRecord | None:
        """The record of a name, with its history; None: there is none.

        Raises `Conflict` for what is no record, or one of a newer version.
        """
        return self._client._run(self._core.record(name))

    def pause(
        self, name: str, duration: float | None = None, *, reason: str = "", by: str | None = None
    ) -> CronRecord:
        """Let no host run the job, for ``duration`` seconds (None: until it is resumed).

        A run that is under way goes on.  ``by`` is who did it (None: user and host).
        """
        return self._client._run(self._core.pause(name, duration, reason, by))

    def resume(self, name: str, *, by: str | None = None) -> bool:
        """End a pause; False: there was none.  Missed slots are not run later."""
        return self._client._run(self._core.resume(name, by))

    def reset(
        self,
        name: str,
        slot: str | float | None = None,
        *,
        by: str | None = None,
        force: bool = False,
    ) -> CronRecord | None:
        """Forget which slot was last: then any slot may be claimed, the same one again included.

        With ``slot`` (a time as in "2026-11-21T17:00:00Z", seconds since the epoch, or an ID) it is
        as if that one had been the last: later ones may be claimed.  Wanted after a wrong clock has
        written a slot that is far ahead.  Text is of the kind that the record has: an ID may look
        like a time.  ``force``: what is no record, or one of a newer version, is written anew, and
        what it remembered is lost.  None: there is no record.  Raises `ConfigError` for an ID where
        times are.
        """
        return self._client._run(self._core.reset(name, slot, by, force))

    def add_run(
        self,
        name: str,
        state: CronState,
        code: int | None = None,
        *,
        started_at: float,
        runtime: float,
        lock: Lock | None = None,
    ) -> CronRecord:
        """Remember an extra run, which is outside of the slots and changes none of them.

        Hold the lock ``name`` meanwhile, so that no run of a slot overlaps it; give it as ``lock``
        to have this written only if it is still held, as Consul checks in the same transaction:
        else `LockLost` or `NotHeld` is raised.  ``started_at`` is in seconds since the epoch,
        ``runtime`` in seconds.  A job without a record gets one.
        """
        held = () if lock is None else (lock._core, lock._me())
        job = self._core.add_run(name, state, code, started_at, runtime, *held)
        return self._client._run(job)

    def forget(self, name: str) -> CronRecord | None:
        """Delete the record of a job that is not run any more; returns what it was, None: there is
        none.

        Where a host still has the job in its crontab, any slot may be run again, the last one
        included.  Raises `Conflict` while a run is under way, or the run lock is held.
        """
        return self._client._run(self._core.forget(name))
