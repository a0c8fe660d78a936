"""Names of locks, the keys that belong to them, and the flags of these keys."""

from __future__ import annotations

from typing import NamedTuple

from consul_lock.errors import ConfigError
from consul_lock.names import fault_of

LOCK_FLAG = 3304740253564472344
"""The flags of a key that is a lock: what HashiCorp's Go client writes and expects."""

SEMAPHORE_FLAG = 16210313421097356768
"""The flags of a semaphore's keys: what HashiCorp's Go client writes and expects."""

READ_WRITE_FLAG = 4377101031871790599
"""The flags of a read/write lock's keys: drawn at random, to be nobody else's."""

# Characters of a bad name that an error shows.
_SHOWN = 60


CRON_FLAG = 6231955483607814123
"""The flags of a cron record: drawn at random, to be nobody else's."""


CRON_SUFFIX = "/.cron"
"""Behind the name of a cron job: the key of its record."""


class LockKeys(NamedTuple):
    """Where a lock lives in Consul."""

    name: str
    key: str
    """The lock itself; ``consul lock NAME`` uses the same."""
    base: str
    """The sign that somebody waits; the entries of the waiters are below it."""


def keys_of_name(name: str) -> LockKeys:
    """The keys of a lock with a name: all below the folder of that name."""
    check_name(name)
    return LockKeys(name, f"{name}/.lock", f"{name}/.queue")


def keys_of_key(key: str) -> LockKeys:
    """The keys of a lock on exactly this key, as Go's ``api.LockKey`` takes it."""
    check_name(key)
    if key.endswith("/.lock"):
        return keys_of_name(key.removesuffix("/.lock"))._replace(name=key)
    return LockKeys(key, key, f"{key}/.queue")


def check_name(name: object) -> None:
    """Raise `ConfigError` for a name that Consul, or an HTTP server before it, would change."""
    fault = fault_of(name if isinstance(name, str) else "")
    if fault is not None:
        shown = repr(name) if len(repr(name)) <= _SHOWN else f"{repr(name)[:_SHOWN]}..."
        raise ConfigError(
            f"bad name {shown}: {fault.why}",
            hint=f"use {fault.instead!r}" if fault.instead else "",
            kind="name",
            settings=("name",),
        )


def checked_name(name: str) -> str:
    """The name, also of somebody who gives the key of a lock; raises `ConfigError`."""
    check_name(name)
    return name.removesuffix("/.lock") or name


def checked_prefix(prefix: str) -> str:
    """The prefix; raises `ConfigError` for one that an HTTP server would change."""
    if not isinstance(prefix, str):
        raise ConfigError(
            f"bad prefix {prefix!r}: it is not a string", kind="value", settings=("prefix",)
        )
    if prefix:
        check_name(prefix.removesuffix("/"))
    return prefix


def slot_key(name: str, number: int) -> str:
    """The key that a session locks to have this slot of a semaphore, and no other."""
    return f"{name}/.slot/{number}"


def entry_key(base: str, session: str) -> str:
    """The key of a waiter's entry."""
    return f"{base}/{session}"
