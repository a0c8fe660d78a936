"""Locks on Consul, for asyncio: the names of `consul_lock`, awaited.

from consul_lock.aio import Lock

async with Lock("deploy/web") as lock:
    print("mine", lock.token)
"""

from importlib import import_module
from typing import TYPE_CHECKING

from consul_lock import _HOMES as _HOMES_OF_THREADS

if TYPE_CHECKING:
    from consul_lock._async.client import Client
    from consul_lock._async.cron import CronGuard, once_per
    from consul_lock._async.cron_records import CronRecords
    from consul_lock._async.decorator import locked
    from consul_lock._async.election import Election
    from consul_lock._async.lock import Lock
    from consul_lock._async.multilock import MultiLock
    from consul_lock._async.rlock import RLock
    from consul_lock._async.rwlock import ReadLock, ReadWriteLock, WriteLock
    from consul_lock._async.semaphore import Semaphore
    from consul_lock._async.session import Session
    from consul_lock._async.survey import Survey
    from consul_lock._protocol.consul.models import Pair
    from consul_lock._protocol.consul.operations import Op
    from consul_lock._protocol.cron.decision import CronOutcome
    from consul_lock._protocol.cron.health import CronHealth, cron_health
    from consul_lock._protocol.cron.record import (
        CronChange,
        CronPast,
        CronPause,
        CronProblem,
        CronRecord,
        CronSkip,
        CronState,
    )
    from consul_lock._protocol.cron.run import CronRun
    from consul_lock._protocol.cron.timeline import CronGap, cron_timeline
    from consul_lock._protocol.election.observer import Leader
    from consul_lock._protocol.holder import Holder
    from consul_lock._protocol.survey.break_note import Break
    from consul_lock._protocol.survey.leftovers import Cleaned, Leftover
    from consul_lock._protocol.survey.read import Overview
    from consul_lock._protocol.survey.sessions import SessionStatus
    from consul_lock._protocol.survey.status import Status
    from consul_lock._protocol.survey.watch import Change
    from consul_lock._version import __version__
    from consul_lock.errors import (
        AlreadyHeld,
        ClockSkew,
        ConfigError,
        Conflict,
        ConsulLockError,
        LockLost,
        LockTimeout,
        LossReason,
        NotHeld,
        PermissionDenied,
        Refused,
        Unavailable,
    )

__all__ = [
    "AlreadyHeld",
    "Break",
    "Change",
    "Cleaned",
    "Client",
    "ClockSkew",
    "ConfigError",
    "Conflict",
    "ConsulLockError",
    "CronChange",
    "CronGap",
    "CronGuard",
    "CronHealth",
    "CronOutcome",
    "CronPast",
    "CronPause",
    "CronProblem",
    "CronRecord",
    "CronRecords",
    "CronRun",
    "CronSkip",
    "CronState",
    "Election",
    "Holder",
    "Leader",
    "Leftover",
    "Lock",
    "LockLost",
    "LockTimeout",
    "LossReason",
    "MultiLock",
    "NotHeld",
    "Op",
    "Overview",
    "Pair",
    "PermissionDenied",
    "RLock",
    "ReadLock",
    "ReadWriteLock",
    "Refused",
    "Semaphore",
    "Session",
    "SessionStatus",
    "Status",
    "Survey",
    "Unavailable",
    "WriteLock",
    "__version__",
    "cron_health",
    "cron_timeline",
    "locked",
    "once_per",
]

# The API for threads is generated from the one for asyncio, file by file; all else is the same.
_HOMES = {
    name: home.replace("consul_lock._blocking.", "consul_lock._async.")
    for name, home in _HOMES_OF_THREADS.items()
}

if not TYPE_CHECKING:  # a type checker would take any name from it

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value

    def __dir__() -> list[str]:
        """Also what nobody has used yet."""
        return sorted({*globals(), *_HOMES})
