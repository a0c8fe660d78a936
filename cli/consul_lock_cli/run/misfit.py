"""A key that holds another kind of lock than the one that is wanted: which, and who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consul_lock_cli.base.text import shown
from consul_lock_cli.output.holder_text import held_by, kind
from consul_lock_cli.spec.lock import LockKind, LockSpec

if TYPE_CHECKING:
    from consul_lock import Status

_KINDS = {
    LockKind.LOCK: ("lock", "lock"),
    LockKind.MULTI: ("lock", "lock"),
    LockKind.LEADER: ("lock", "lock"),
    LockKind.SEMAPHORE: ("semaphore", "semaphore"),
    LockKind.SHARED: ("read-write", "read/write lock"),
    LockKind.EXCLUSIVE: ("read-write", "read/write lock"),
    LockKind.TREE: ("read-write", "tree lock"),
}
"""What the library calls them when it looks at them from outside, and what people do."""

_OPTIONS = {
    True: "--tree",
    False: "--shared or --exclusive",
    None: "--shared, --exclusive or --tree",
}


def misfit(spec: LockSpec, status: Status) -> str:
    """What is wrong with what is there; empty: nothing."""
    wanted, name_of_wanted = _KINDS[spec.mode]
    if status.kind == "foreign":
        return status.problem or f"{status.key!r} holds something that is not a lock"
    name = shown(status.name)
    if status.kind not in (wanted, "none"):
        limit = "" if status.kind != "semaphore" else f" with limit {status.limit}"
        holders = held_by(status.holders) if status.holders else "free"
        return f"{name} is a {kind(status)}{limit}, {holders}; wanted a {name_of_wanted}"
    if spec.mode is LockKind.SEMAPHORE and status.limit not in (None, spec.limit):
        return f"{name} is a semaphore with limit {status.limit}, wanted {spec.limit}"
    return ""


def way_in(status: Status) -> str:
    """The options with which it could be used as what it is."""
    if status.kind == "semaphore":
        return f"--limit {status.limit} takes a slot of it; or use another --key"
    if status.kind == "read-write":
        return f"{_OPTIONS[status.tree]} takes it; or use another --key"
    if status.kind == "lock":
        return "without --limit, --shared, --exclusive and --tree it is taken; or use another --key"
    return "use another --key"
