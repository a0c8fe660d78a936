"""Everything that can go wrong, as one tree.

::

    ConsulLockError
     |
     +-- LockTimeout (TimeoutError)        the lock was not to be had in time
     +-- NotHeld (RuntimeError)            released, or used, without being held
     +-- AlreadyHeld (RuntimeError)        this thread or task would wait for itself
     +-- LockLost                          it was held and is not any more (see ``reason``)
     +-- Conflict                          the key is used for something else
     +-- Unavailable (ConnectionError)     Consul cannot be reached, or cannot serve
     +-- PermissionDenied (PermissionError)  the token may not do this
     +-- ClockSkew                         a host of a cron job has a wrong clock
     +-- ConfigError (ValueError)          a setting is wrong or contradicts another
          |
          +-- Refused                      this server does not accept a setting or a value

The blame is in the type: ``NotHeld``, ``AlreadyHeld`` and ``ConfigError`` are the caller's,
``Conflict`` is between users of one key, the others are the world's.  Every error can be
pickled and carries ``key``, ``session`` and ``holder`` where they are known.
"""

from __future__ import annotations

import enum
from typing import Any


class LossReason(enum.Enum):
    """Why a lock that was held is not held any more."""

    DEADLINE = "deadline"
    """No renewal succeeded in time: somebody else may acquire soon, so it no longer counts."""
    SESSION_INVALID = "session-invalid"
    """Consul has dropped the session: destroyed, expired, its node left or a check failed."""
    KEY_DELETED = "key-deleted"
    """Somebody deleted the key of the lock.  Consul imposes no lock-delay in that case."""
    STOLEN = "stolen"
    """The key is held by another session."""
    REVOKED = "revoked"
    """Somebody released the key, or closed the client, while it was held."""
    FORKED = "forked"
    """This process is a fork of the one that holds the lock."""


class ConsulLockError(Exception):
    """Base of all errors of this library.

    ``key``, ``session`` and ``holder`` say what it is about, where that is known; else None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        key: str | None = None,
        session: str | None = None,
        holder: Any = None,
    ) -> None:
        super().__init__(message)
        self.key = key
        self.session = session
        self.holder = holder

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ would call the class with the message alone and then
        # restore __dict__, which is just what keyword arguments need.
        return (type(self), self.args, self.__dict__)


class LockTimeout(ConsulLockError, TimeoutError):
    """The lock was held by somebody else for all of the time we were willing to wait."""


class NotHeld(ConsulLockError, RuntimeError):
    """The lock is not held by this object, so it cannot be released or guarded with."""


class AlreadyHeld(ConsulLockError, RuntimeError):
    """This thread or task holds the lock already, and would wait for itself without a timeout."""


class LockLost(ConsulLockError):
    """The lock was held and is not any more; ``reason`` says why.

    ``last_error`` is what the last renewal of its session ended in, if renewals failed before it
    was lost: Consul was not reached, the token is unknown, a certificate has expired.  Else None.

    ``result`` is what the function under `locked`, `once_per` or `CronGuard.run` has returned, if
    the loss was found after that; else None.
    """

    reason: LossReason

    def __init__(
        self,
        message: str = "",
        *,
        reason: LossReason = LossReason.DEADLINE,
        last_error: ConsulLockError | None = None,
        result: Any = None,
        **about: Any,
    ) -> None:
        super().__init__(message, **about)
        self.reason = reason
        self.last_error = last_error
        self.result = result


class Conflict(ConsulLockError):
    """The key holds something that is not ours; it is never overwritten.

    ``flags`` are the flags found there (Consul's mark of who uses a key), ``limit`` the limit
    of a semaphore that disagrees with ours.
    """

    def __init__(
        self,
        message: str = "",
        *,
        flags: int | None = None,
        limit: int | None = None,
        **about: Any,
    ) -> None:
        super().__init__(message, **about)
        self.flags = flags
        self.limit = limit


class Unavailable(ConsulLockError, ConnectionError):
    """Consul could not be reached, had no leader, or was too busy.

    ``uncertain`` is true if the request may have been carried out all the same: it was sent,
    or partly sent, and no answer came that says otherwise.  ``status`` is the HTTP status of
    the answer, None if there was none.  ``retry_after`` is how many seconds the answer asks to
    wait before the next request (a Retry-After header, as a limit of requests sends it), None
    if it does not say.
    """

    def __init__(
        self,
        message: str = "",
        *,
        uncertain: bool = True,
        status: int | None = None,
        retry_after: float | None = None,
        **about: Any,
    ) -> None:
        super().__init__(message, **about)
        self.uncertain = uncertain
        self.status = status
        self.retry_after = retry_after


class PermissionDenied(ConsulLockError, PermissionError):
    """The ACL token may not do this; the message has the rule that would allow it.

    ``operations`` are the places of those that were denied in a transaction; empty if it was none,
    or Consul did not say which.
    """

    operations: tuple[int, ...] = ()


class ConfigError(ConsulLockError, ValueError):
    """A setting is wrong, or two settings contradict each other; the message names both."""


class Refused(ConfigError):
    """The server does not accept a setting or a value: a TTL out of its range, too large a
    value, a health check that does not exist.

    ``temporary`` is true if that may change by itself: a health check that a session is to be
    bound to fails, or is not registered (yet).  Waiting calls wait for it.
    """

    def __init__(self, message: str = "", *, temporary: bool = False, **about: Any) -> None:
        super().__init__(message, **about)
        self.temporary = temporary


class ClockSkew(ConsulLockError):
    """The record of a cron job is so far ahead of this host's slot that a clock must be wrong.

    ``slot`` is ours, ``found`` the record's, ``host`` who wrote that.
    """

    def __init__(
        self, message: str = "", *, slot: str = "", found: str = "", host: str = "", **about: Any
    ) -> None:
        super().__init__(message, **about)
        self.slot = slot
        self.found = found
        self.host = host
