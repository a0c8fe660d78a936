"""Locks on Consul, for threads.  `consul_lock.aio` has the same names for asyncio.

A lock is backed by a Consul session: it ends with the process.  First come, first served; a fencing
token to write with; a loss is noticed even without the network.

    from consul_lock import Lock

    with Lock("deploy/web") as lock:
        print("mine", lock.token)

What is promised, and what is not, is in docs/guarantees.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consul_lock import config as config
    from consul_lock import errors as errors
    from consul_lock import events as events
    from consul_lock import limits as limits
    from consul_lock import names as names
    from consul_lock._blocking.client import Client
    from consul_lock._blocking.cron import CronGuard, once_per
    from consul_lock._blocking.cron_records import CronRecords
    from consul_lock._blocking.decorator import locked
    from consul_lock._blocking.election import Election
    from consul_lock._blocking.lock import Lock
    from consul_lock._blocking.multilock import MultiLock
    from consul_lock._blocking.rlock import RLock
    from consul_lock._blocking.rwlock import ReadLock, ReadWriteLock, WriteLock
    from consul_lock._blocking.semaphore import Semaphore
    from consul_lock._blocking.session import Session
    from consul_lock._blocking.survey import Survey
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

# The module of each name: it is imported when the name is first used.  So a program pays for what
# it uses, and `consul_lock.limits` or `.errors`, which the command line needs at every start, load
# nothing else.
_HOMES = {
    "Client": "consul_lock._blocking.client",
    "CronGuard": "consul_lock._blocking.cron",
    "once_per": "consul_lock._blocking.cron",
    "CronRecords": "consul_lock._blocking.cron_records",
    "locked": "consul_lock._blocking.decorator",
    "Election": "consul_lock._blocking.election",
    "Lock": "consul_lock._blocking.lock",
    "MultiLock": "consul_lock._blocking.multilock",
    "RLock": "consul_lock._blocking.rlock",
    "ReadLock": "consul_lock._blocking.rwlock",
    "ReadWriteLock": "consul_lock._blocking.rwlock",
    "WriteLock": "consul_lock._blocking.rwlock",
    "Semaphore": "consul_lock._blocking.semaphore",
    "Session": "consul_lock._blocking.session",
    "Survey": "consul_lock._blocking.survey",
    "CronChange": "consul_lock._protocol.cron.record",
    "CronPast": "consul_lock._protocol.cron.record",
    "CronPause": "consul_lock._protocol.cron.record",
    "CronProblem": "consul_lock._protocol.cron.record",
    "CronRecord": "consul_lock._protocol.cron.record",
    "CronSkip": "consul_lock._protocol.cron.record",
    "CronState": "consul_lock._protocol.cron.record",
    "CronHealth": "consul_lock._protocol.cron.health",
    "cron_health": "consul_lock._protocol.cron.health",
    "CronGap": "consul_lock._protocol.cron.timeline",
    "cron_timeline": "consul_lock._protocol.cron.timeline",
    "CronRun": "consul_lock._protocol.cron.run",
    "CronOutcome": "consul_lock._protocol.cron.decision",
    "Overview": "consul_lock._protocol.survey.read",
    "Op": "consul_lock._protocol.consul.operations",
    "SessionStatus": "consul_lock._protocol.survey.sessions",
    "Holder": "consul_lock._protocol.holder",
    "Cleaned": "consul_lock._protocol.survey.leftovers",
    "Leftover": "consul_lock._protocol.survey.leftovers",
    "Change": "consul_lock._protocol.survey.watch",
    "Break": "consul_lock._protocol.survey.break_note",
    "Leader": "consul_lock._protocol.election.observer",
    "Pair": "consul_lock._protocol.consul.models",
    "Status": "consul_lock._protocol.survey.status",
    "__version__": "consul_lock._version",
    "AlreadyHeld": "consul_lock.errors",
    "ClockSkew": "consul_lock.errors",
    "ConfigError": "consul_lock.errors",
    "Conflict": "consul_lock.errors",
    "ConsulLockError": "consul_lock.errors",
    "LockLost": "consul_lock.errors",
    "LockTimeout": "consul_lock.errors",
    "LossReason": "consul_lock.errors",
    "NotHeld": "consul_lock.errors",
    "PermissionDenied": "consul_lock.errors",
    "Refused": "consul_lock.errors",
    "Unavailable": "consul_lock.errors",
}

# Attributes after a bare `import consul_lock`, as ever.
_MODULES = ("config", "errors", "events", "limits", "names")

if not TYPE_CHECKING:  # a type checker would take any name from it

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used (PEP 562)."""
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value

    def __dir__() -> list[str]:
        """Also what nobody has used yet."""
        return sorted({*globals(), *_HOMES, *_MODULES})
