"""One way to make each lock-like thing that one at a time can have, by a word."""

from __future__ import annotations

from typing import Any

import consul_lock
from consul_lock import Client

KINDS = ("lock", "semaphore", "writer", "multilock")


def make(kind: str, name: str, client: Client, options: dict[str, Any]) -> Any:
    """Make it."""
    if kind == "semaphore":
        return consul_lock.Semaphore(name, 1, client=client, **options)
    if kind == "writer":
        return consul_lock.ReadWriteLock(name, client=client, **options).write()
    if kind == "multilock":
        return consul_lock.MultiLock([f"{name}/one", f"{name}/other"], client=client, **options)
    return consul_lock.Lock(name, client=client, **options)
