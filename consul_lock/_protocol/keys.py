"""Names of locks, and the keys that belong to them."""

from __future__ import annotations

from typing import NamedTuple

from consul_lock.errors import ConfigError
from consul_lock.names import fault_of

# Characters of a bad name that an error shows.
_SHOWN = 60


class LockKeys(NamedTuple):
    """Where a lock lives in Consul."""

    name: str
    key: str
    """The lock itself; ``consul lock NAME`` uses the same."""
    base: str
    """The sign that somebody waits; the entries of the waiters are below it."""


def for_name(name: str) -> LockKeys:
    """The keys of a lock with a name: all below the folder of that name."""
    check(name)
    return LockKeys(name, f"{name}/.lock", f"{name}/.queue")


def for_key(key: str) -> LockKeys:
    """The keys of a lock on exactly this key, as Go's ``api.LockKey`` takes it."""
    check(key)
    if key.endswith("/.lock"):
        return for_name(key.removesuffix("/.lock"))._replace(name=key)
    return LockKeys(key, key, f"{key}/.queue")


def check(name: object) -> None:
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
