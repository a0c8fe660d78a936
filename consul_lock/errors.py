"""Everything that can go wrong, as one tree.

::

    ConsulLockError
     |
     +-- LockTimeout (TimeoutError)        the lock could not be acquired in time
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
``Conflict`` is between users of one key, the others are the world's.  Within a class, ``kind``
is a stable word for the case, such as ``"dns"`` or ``"no-leader"``; docs/errors.md says what each
means.  Texts may change, classes and kinds do not.  Every error can be pickled and carries
``problem``, ``hint`` and ``kind``, and ``key``, ``session`` and ``holder`` where they are known.
"""

from __future__ import annotations

import enum
from typing import Any, Literal, TypeAlias

# The kinds of each class; no word stands for two classes.  Programs compare with them, so none is
# renamed, and a new case gets a new word.  docs/errors.md has the meaning of each.
LockTimeoutKind: TypeAlias = Literal["held", "free", "unknown-holder"]
NotHeldKind: TypeAlias = Literal["not-held", "other-holder", "released"]
AlreadyHeldKind: TypeAlias = Literal["deadlock", "leading"]
LockLostKind: TypeAlias = Literal[
    "deadline",
    "session-invalid",
    "key-deleted",
    "stolen",
    "revoked",
    "forked",
    "request-limit",
]
ConflictKind: TypeAlias = Literal[
    "foreign",
    "unmarked",
    "damaged",
    "other-kind",
    "limit",
    "cron-record",
    "slot-form",
    "in-use",
    "overwritten",
    "guard",
    "queue",
    "slot-numbers",
]
UnavailableKind: TypeAlias = Literal[
    "refused",
    "unreachable",
    "dns",
    "dns-timeout",
    "tls",
    "no-answer",
    "hung-up",
    "broken",
    "no-leader",
    "rate-limit",
    "server-error",
    "proxy",
    "backlog",
    "no-time",
    "contended",
    "session-dead",
    "claim-unknown",
    "closed",
]
PermissionDeniedKind: TypeAlias = Literal["denied", "unknown-token", "hidden-keys"]
ClockSkewKind: TypeAlias = Literal["clock-skew"]
ConfigErrorKind: TypeAlias = Literal[
    "value",
    "contradiction",
    "name",
    "address",
    "credentials",
    "tls-file",
    "needs-tls",
    "no-tls",
    "certificate",
    "certificate-expired",
    "client-certificate",
    "not-consul",
    "event-loop",
    "eventlet",
    "schedule",
    "timezone",
    "no-cronsim",
    "no-python-consul2",
    "clock",
]
RefusedKind: TypeAlias = Literal[
    "rejected",
    "bad-value",
    "too-large",
    "health-check",
    "heartbeat",
    "session-altered",
    "release",
]
ErrorKind: TypeAlias = Literal[
    "unforeseen",
    LockTimeoutKind,
    NotHeldKind,
    AlreadyHeldKind,
    LockLostKind,
    ConflictKind,
    UnavailableKind,
    PermissionDeniedKind,
    ClockSkewKind,
    ConfigErrorKind,
    RefusedKind,
]


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
    REQUEST_LIMIT = "request-limit"
    """Renewals were refused by the server's request limit (429 or 503) until it was too late."""


class ConsulLockError(Exception):
    """Base of all errors of this library.

    ``problem`` says what failed, and ``hint`` what to do about it, "" if there is nothing to say.
    ``str(error)`` is one sentence of both; it is for people and may change.

    ``kind`` is a word for the case, which does not change: see docs/errors.md.

    ``key``, ``session`` and ``holder`` say what it is about, where that is known; else None.
    """

    kind: ErrorKind

    def __init__(
        self,
        message: str = "",
        *,
        problem: str | None = None,
        hint: str = "",
        kind: ErrorKind = "unforeseen",
        key: str | None = None,
        session: str | None = None,
        holder: Any = None,
    ) -> None:
        # With a problem of its own the message is the whole sentence, else it is the problem; a
        # problem and a hint without a message make the sentence themselves.
        if problem is None:
            problem = message
            message = f"{message}; {hint}" if hint else message
        elif not message:
            message = f"{problem}: {hint}" if hint else problem
        super().__init__(message)
        self.problem = problem
        self.hint = hint
        self.kind = kind
        self.key = key
        self.session = session
        self.holder = holder

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ would call the class with the message alone and then
        # restore __dict__, which is just what keyword arguments need.
        return (type(self), self.args, self.__dict__)


class LockTimeout(ConsulLockError, TimeoutError):
    """The lock was not acquired within the timeout: another holder had it."""

    kind: LockTimeoutKind

    def __init__(
        self,
        message: str = "",
        *,
        problem: str | None = None,
        hint: str = "",
        kind: LockTimeoutKind = "held",
        key: str | None = None,
        session: str | None = None,
        holder: Any = None,
    ) -> None:
        about = {"key": key, "session": session, "holder": holder}
        super().__init__(message, problem=problem, hint=hint, kind=kind, **about)


class NotHeld(ConsulLockError, RuntimeError):
    """The lock is not held by this object, so it cannot be released or guarded with."""

    kind: NotHeldKind

    def __init__(
        self,
        message: str = "",
        *,
        problem: str | None = None,
        hint: str = "",
        kind: NotHeldKind = "not-held",
        key: str | None = None,
        session: str | None = None,
        holder: Any = None,
    ) -> None:
        about = {"key": key, "session": session, "holder": holder}
        super().__init__(message, problem=problem, hint=hint, kind=kind, **about)


class AlreadyHeld(ConsulLockError, RuntimeError):
    """This thread or task holds the lock already, and would wait for itself without a timeout."""

    kind: AlreadyHeldKind

    def __init__(
        self,
        message: str = "",
        *,
        problem: str | None = None,
        hint: str = "",
        kind: AlreadyHeldKind = "deadlock",
        key: str | None = None,
        session: str | None = None,
        holder: Any = None,
    ) -> None:
        about = {"key": key, "session": session, "holder": holder}
        super().__init__(message, problem=problem, hint=hint, kind=kind, **about)


class LockLost(ConsulLockError):
    """The lock was held and is not any more; ``reason`` says why, and ``kind`` is its value.

    ``last_error`` is what the last renewal of its session ended in, if renewals failed before it
    was lost: Consul was not reached, the token is unknown, a certificate has expired.  Else None.

    ``result`` is what the function under `locked`, `once_per` or `CronGuard.run` has returned, if
    the loss was found after that; else None.
    """

    kind: LockLostKind
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
        super().__init__(message, **{"kind": reason.value, **about})
        self.reason = reason
        self.last_error = last_error
        self.result = result


class Conflict(ConsulLockError):
    """The key holds something else than a lock of this kind; it is never overwritten.

    ``flags`` are the flags found there (Consul's mark of who uses a key), ``limit`` the limit
    of a semaphore in Consul that differs from the one asked for, which is ``wanted``.
    """

    kind: ConflictKind

    def __init__(
        self,
        message: str = "",
        *,
        kind: ConflictKind = "foreign",
        flags: int | None = None,
        limit: int | None = None,
        wanted: int | None = None,
        **about: Any,
    ) -> None:
        super().__init__(message, kind=kind, **about)
        self.flags = flags
        self.limit = limit
        self.wanted = wanted


class Unavailable(ConsulLockError, ConnectionError):
    """Consul could not be reached, had no leader, or was too busy.

    ``uncertain`` is true if the request may have been carried out all the same: it was sent,
    or partly sent, and no answer came that says otherwise.  ``status`` is the HTTP status of
    the answer, None if there was none.  ``retry_after`` is how many seconds the answer asks to
    wait before the next request (a Retry-After header, as a limit of requests sends it), None
    if it does not say.
    """

    kind: UnavailableKind

    def __init__(
        self,
        message: str = "",
        *,
        kind: UnavailableKind = "unreachable",
        uncertain: bool = True,
        status: int | None = None,
        retry_after: float | None = None,
        **about: Any,
    ) -> None:
        super().__init__(message, kind=kind, **about)
        self.uncertain = uncertain
        self.status = status
        self.retry_after = retry_after


class PermissionDenied(ConsulLockError, PermissionError):
    """The ACL token may not do this; the message has the rule that would allow it.

    ``rule`` is that rule, ``access`` what it grants, in short (``session:write``, or
    ``key:write on "jobs/"``), and ``action`` what was tried; each is "" if it is not known.

    ``operations`` are the places of those that were denied in a transaction; empty if it was none,
    or Consul did not say which.
    """

    kind: PermissionDeniedKind
    operations: tuple[int, ...] = ()

    def __init__(
        self,
        message: str = "",
        *,
        problem: str | None = None,
        hint: str = "",
        kind: PermissionDeniedKind = "denied",
        rule: str = "",
        access: str = "",
        action: str = "",
        key: str | None = None,
        session: str | None = None,
        holder: Any = None,
    ) -> None:
        about = {"key": key, "session": session, "holder": holder}
        super().__init__(message, problem=problem, hint=hint, kind=kind, **about)
        self.rule = rule
        self.access = access
        self.action = action


class ConfigError(ConsulLockError, ValueError):
    """A setting is wrong, or two settings contradict each other; the message names both.

    ``settings`` are the names of the arguments, or the variable of the environment, that it is
    about; empty if it is about none.
    """

    kind: ConfigErrorKind | RefusedKind

    def __init__(
        self,
        message: str = "",
        *,
        problem: str | None = None,
        hint: str = "",
        kind: ConfigErrorKind = "value",
        settings: tuple[str, ...] = (),
        key: str | None = None,
        session: str | None = None,
        holder: Any = None,
    ) -> None:
        about = {"key": key, "session": session, "holder": holder}
        super().__init__(message, problem=problem, hint=hint, kind=kind, **about)
        self.settings = settings


class Refused(ConfigError):
    """The server does not accept a setting or a value: a TTL out of its range, too large a
    value, a health check that does not exist.

    ``temporary`` is true if that may change by itself: a health check that a session is to be
    bound to fails, or is not registered (yet).  Waiting calls wait for it.  ``answer`` is the
    server's own text, "" if it gave none.
    """

    kind: RefusedKind

    def __init__(
        self,
        message: str = "",
        *,
        kind: RefusedKind = "rejected",
        temporary: bool = False,
        answer: str = "",
        **about: Any,
    ) -> None:
        super().__init__(message, **about)
        self.kind = kind
        self.temporary = temporary
        self.answer = answer


class ClockSkew(ConsulLockError):
    """The record of a cron job is so far ahead of this host's slot that a clock must be wrong.

    ``slot`` is the one of this host, ``found`` the record's, ``host`` the one that wrote that, and
    ``ahead`` how many seconds it is ahead.
    """

    kind: ClockSkewKind

    def __init__(
        self,
        message: str = "",
        *,
        kind: ClockSkewKind = "clock-skew",
        slot: str = "",
        found: str = "",
        host: str = "",
        ahead: float = 0.0,
        **about: Any,
    ) -> None:
        super().__init__(message, kind=kind, **about)
        self.slot = slot
        self.found = found
        self.host = host
        self.ahead = ahead
