"""Get the lock, run the command under it, let it go: the middle of `run`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from consul_lock_cli import signals
from consul_lock_cli.child import Child
from consul_lock_cli.durations import show_duration
from consul_lock_cli.ending import pass_on
from consul_lock_cli.exits import ExitCode, failure
from consul_lock_cli.interruption import Interrupted, OutOfTime, interruptible
from consul_lock_cli.lease import LockLease
from consul_lock_cli.names import shown
from consul_lock_cli.options import Connection
from consul_lock_cli.supervise import Ended, Supervisor
from consul_lock_cli.talk import Talk

if TYPE_CHECKING:
    from consul_lock import Client, Holder, Lock

# Seconds for goodbyes to a Consul that may be out of order: the session ends without us too.
_GOODBYE = 1.0


class Wanted(NamedTuple):
    """What the user asked for.  Times are seconds."""

    key: str
    wait: float | None
    """None: for ever."""
    conflict_code: int
    ttl: float
    lock_delay: float
    kill_after: float
    retry_for: float


class Hold:
    """One lock around one command."""

    def __init__(
        self,
        wanted: Wanted,
        command: Sequence[str],
        connection: Connection,
        talk: Talk,
        ours: signals.Signals,
    ) -> None:
        self._wanted = wanted
        self._program = command[0]
        self._connection = connection
        self._talk = talk
        self._ours = ours
        self._started = time.monotonic()

    def around(self, child: Child) -> int:
        """Exit code.  Dies of the command's signal if one killed it.  Raises what fails."""
        wanted = self._wanted
        client = self._connection.client(self._talk, retry_for=wanted.retry_for)
        lease = LockLease()
        try:
            lock = self._lock(client, lease)
            if not self._acquire(lock):
                return interruptible(self._ours, lambda: self._busy(lock))
            ended = self._supervise(child, lock, lease)
            lost = self._release(lock, ended.lost)
        finally:
            self._close(client)
        return ExitCode.LOST if lost else pass_on(ended, self._program, self._talk)

    def _lock(self, client: Client, lease: LockLease) -> Lock:
        from consul_lock import Lock

        lock = Lock(
            self._wanted.key,
            client=client,
            ttl=self._wanted.ttl,
            lock_delay=self._wanted.lock_delay,
            watch=True,
            command=shown(self._program, 200),
            on_lost=lease.wake,
        )
        lease.watch(lock)
        return lock

    # -- before ---------------------------------------------------------------------------

    def _acquire(self, lock: Lock) -> bool:
        try:
            return interruptible(self._ours, lambda: self._contend(lock))
        except Interrupted:
            # It may have come when the lock was ours already.
            self._release(lock, lost=not lock.held, budget=_GOODBYE)
            raise

    def _contend(self, lock: Lock) -> bool:
        from consul_lock import Unavailable

        wait = self._wanted.wait
        if wait == 0 or not self._talk.verbosity:
            return lock.acquire(timeout=wait)
        try:
            if lock.acquire(blocking=False):
                return True
            self._talk.note(f"waiting for {self._wanted.key}, {_held_by(lock.holder())}")
        except Unavailable as error:
            # One try says nothing yet: the next acquire rides errors out.
            self._talk.note(f"trying again: {error}")
        return lock.acquire(timeout=wait)

    def _busy(self, lock: Lock) -> int:
        from consul_lock import ConsulLockError

        key, code = self._wanted.key, self._wanted.conflict_code
        try:
            who = _held_by(lock.holder())
        except ConsulLockError:
            who = "held by somebody"
        frees = 2 * self._wanted.ttl + self._wanted.lock_delay
        self._talk.error(
            f"{key} is {who}: not started ({code})",
            f"-w 10m waits; if that host is dead, it frees itself in about {show_duration(frees)}",
        )
        return code

    # -- under the lock -------------------------------------------------------------------

    def _supervise(self, child: Child, lock: Lock, lease: LockLease) -> Ended:
        wanted, talk = self._wanted, self._talk
        session = lock.session_id
        waited = show_duration(time.monotonic() - self._started)
        talk.note(f"acquired after {waited} session={session} token={lock.token}")
        stop = signals.asked_to_end(self._ours)
        if stop is not None:
            # It came between the acquire and here: the command is never started.
            self._release(lock, lost=False, budget=_GOODBYE)
            raise Interrupted(stop)
        acquired = time.time()

        def on_lost(grace: float) -> None:
            reason = lock.lost_reason
            why = reason.value if reason else "no renewal succeeded for too long"
            kill = f"KILL in {show_duration(grace)}" if grace else "and KILL"
            after = show_duration(time.time() - acquired)
            talk.error(
                f"LOST {wanted.key} after {after}: {why}; sent TERM to group {child.pid};"
                f" {kill} ({ExitCode.LOST:d})"
            )

        supervisor = Supervisor(
            child, lease, self._ours, kill_after=wanted.kill_after, on_lost=on_lost
        )
        ended = supervisor.run(self._environment(lock, session))
        talk.note(f"command ended after {show_duration(time.time() - acquired)}: {ended.code}")
        return ended

    def _environment(self, lock: Lock, session: str | None) -> dict[str, str | None]:
        now = datetime.now(UTC)
        return {
            "CONSUL_LOCK_HELD": "true",
            "CONSUL_LOCK_KEY": self._wanted.key,
            "CONSUL_LOCK_SESSION": session,
            "CONSUL_LOCK_TOKEN": str(lock.token),
            "CONSUL_LOCK_MODE": "lock",
            "CONSUL_LOCK_LIMIT": "1",
            "CONSUL_LOCK_ACQUIRED_AT": now.isoformat(timespec="milliseconds")[:-6] + "Z",
            "CONSUL_LOCK_TTL": f"{self._wanted.ttl:g}",
        }

    # -- after ----------------------------------------------------------------------------

    def _release(self, lock: Lock, lost: bool, budget: float | None = None) -> bool:
        """Whether it was lost before it could be released; trouble is told, and passed over."""
        from consul_lock import ConsulLockError, LockLost, NotHeld

        if lost:
            return True
        try:
            interruptible(self._ours, lock.release, budget)
            self._talk.note("released")
        except (LockLost, NotHeld) as error:
            code, hint = failure(error)
            self._talk.error(f"{error} ({code:d})", hint)
            return True
        except (ConsulLockError, Interrupted, OutOfTime) as error:
            self._talk.warn(f"not released, it frees itself later: {error}")
        return False

    def _close(self, client: Client) -> None:
        try:
            interruptible(self._ours, client.close, budget=_GOODBYE)
        except (Interrupted, OutOfTime):
            pass
        except Exception as error:  # noqa: BLE001 - all is done; the session ends without us too
            self._talk.note(f"while closing: {error}")


def _held_by(holder: Holder | None) -> str:
    if holder is None:
        return "free but in lock-delay, or was freed just now"
    if holder.foreign:
        return f"held by session {shown(holder.session)}"
    age = show_duration(time.time() - holder.since)
    since = datetime.fromtimestamp(holder.since, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    user = f"{shown(holder.user)}, " if holder.user else ""
    return f"held by {shown(holder.host)} pid {holder.pid} ({user}since {since}, {age})"
