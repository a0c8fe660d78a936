"""Locks on Consul, for threads.  `consul_lock.aio` has the same names for asyncio.

A lock is backed by a Consul session: it ends with us.  First come, first served; a fencing
token for whoever writes with it; a loss is noticed even without the network.

    from consul_lock import Lock

    with Lock("deploy/web") as lock:
        print("mine", lock.token)

What is promised, and what is not, is on the first page of the README.
"""

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
from consul_lock._protocol.cron.decision import CronOutcome
from consul_lock._protocol.cron.record import (
    CronChange,
    CronPast,
    CronPause,
    CronProblem,
    CronRecord,
    CronState,
)
from consul_lock._protocol.cron.run import CronRun
from consul_lock._protocol.election.observer import Leader
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.primitive.guard import Op
from consul_lock._protocol.survey.leftovers import Cleaned, Leftover
from consul_lock._protocol.survey.note import Break
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
    "CronGuard",
    "CronOutcome",
    "CronPast",
    "CronPause",
    "CronProblem",
    "CronRecord",
    "CronRecords",
    "CronRun",
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
    "locked",
    "once_per",
]
