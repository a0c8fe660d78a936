"""Names of locks, and the keys that belong to them."""

from __future__ import annotations

from typing import NamedTuple

from consul_lock.errors import ConfigError

NAME_MOST = 512
"""Bytes of a name at most; the session ids behind it have to fit into a URL, too."""


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


def check(name: str) -> None:
    """Raise `ConfigError` for a name that Consul, or an HTTP server before it, would change."""
    if not name or not isinstance(name, str):
        raise ConfigError(f"bad name {name!r}: a name is a string that is not empty")
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise ConfigError(f"bad name {name!r}: it is not valid text: {error.reason}") from error
    if size > NAME_MOST:
        raise ConfigError(f"bad name {name[:40]!r}...: {size} bytes, at most {NAME_MOST}")
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
        raise ConfigError(f"bad name {name!r}: it has a control character")
    if name != name.strip():
        raise ConfigError(f"bad name {name!r}: newer servers refuse a space at either end")
    parts = name.split("/")
    clean = _cleaned(parts)
    use = f"; use {clean!r}" if clean else ""
    if not parts[0] or not parts[-1]:
        raise ConfigError(f"bad name {name!r}: it begins or ends with a slash{use}")
    if "" in parts:
        raise ConfigError(f"bad name {name!r}: empty path element{use}")
    if "." in parts or ".." in parts:
        raise ConfigError(f"bad name {name!r}: '.' and '..' mean something else in a path{use}")


def _cleaned(parts: list[str]) -> str:
    """What Go's client makes of it, as of any path."""
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)
