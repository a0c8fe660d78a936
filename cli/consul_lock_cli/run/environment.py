"""The environment that describes the lock to a command that runs under it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from consul_lock_cli.base.clock import rfc3339
from consul_lock_cli.base.text import harmless
from consul_lock_cli.run.ancestors import CHAIN, chain_with
from consul_lock_cli.spec.lock import LockSpec

if TYPE_CHECKING:
    from consul_lock import CronPast
    from consul_lock_cli.spec.lock import Lockable

# Variables of a command under a lock only.
_OF_A_LOCK = (
    "CONSUL_LOCK_SESSION", "CONSUL_LOCK_TOKEN", "CONSUL_LOCK_MODE", "CONSUL_LOCK_LIMIT",
    "CONSUL_LOCK_SLOT_INDEX", "CONSUL_LOCK_ACQUIRED_AT", "CONSUL_LOCK_TTL",
)  # fmt: skip


def locked(
    spec: LockSpec, lock: Lockable, slot: int | None, acquired: float, place: str
) -> dict[str, str | None]:
    """Changes of the environment; None takes a variable out.

    ``slot`` is the number of a semaphore's slot, ``acquired`` seconds since the epoch,
    ``place`` that of the connection.
    """
    session = lock.session_id
    return {
        "CONSUL_LOCK_HELD": "true",
        "CONSUL_LOCK_KEY": all_keys(spec),
        "CONSUL_LOCK_SESSION": session,
        "CONSUL_LOCK_TOKEN": str(lock.token),
        "CONSUL_LOCK_MODE": spec.mode,
        "CONSUL_LOCK_LIMIT": None if spec.limit is None else str(spec.limit),
        "CONSUL_LOCK_SLOT_INDEX": None if slot is None else str(slot),
        "CONSUL_LOCK_ACQUIRED_AT": rfc3339(acquired),
        "CONSUL_LOCK_TTL": f"{spec.ttl:g}",
        CHAIN: chain_with(spec, session, place),
    }


def unlocked(spec: LockSpec) -> Mapping[str, str | None]:
    """The same for a command that runs although no lock could be acquired."""
    nothing: dict[str, str | None] = dict.fromkeys(_OF_A_LOCK)
    return nothing | {"CONSUL_LOCK_HELD": "false", "CONSUL_LOCK_KEY": all_keys(spec)}


def of_slot(name: str, slot: str, epoch: float | None, attempt: int) -> dict[str, str | None]:
    """The variables for a cron slot, besides those; ``attempt`` 0: it is not known."""
    return {
        "CONSUL_LOCK_CRON_NAME": name,
        "CONSUL_LOCK_CRON_SLOT": slot,
        "CONSUL_LOCK_CRON_SLOT_EPOCH": None if epoch is None else f"{epoch:.15g}",
        "CONSUL_LOCK_CRON_ATTEMPT": str(attempt) if attempt else None,
    }


def of_lost_run(run: CronPast) -> dict[str, str | None]:
    """The variables for a run that was lost, besides those.  Anybody who may write the record has
    chosen the host: a NUL in it would keep the hook from being run."""
    return {
        "CONSUL_LOCK_CRON_LOST_SLOT": run.slot,
        "CONSUL_LOCK_CRON_LOST_ATTEMPT": str(run.attempt),
        "CONSUL_LOCK_CRON_LOST_HOST": harmless(run.host),
    }


def all_keys(spec: LockSpec) -> str:
    """The names, one a line: they have no control characters."""
    return "\n".join(spec.keys)
