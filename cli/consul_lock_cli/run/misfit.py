"""A key that holds another kind of lock than the one that is wanted: which, and who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consul_lock_cli.base.text import shown
from consul_lock_cli.output.holder_text import held_by
from consul_lock_cli.spec.lock import LockKind, LockSpec

if TYPE_CHECKING:
    from consul_lock import Status

_KINDS = {
    LockKind.LOCK: "lock",
    LockKind.MULTI: "lock",
    LockKind.LEADER: "lock",
    LockKind.SEMAPHORE: "semaphore",
    LockKind.SHARED: "read-write",
    LockKind.EXCLUSIVE: "read-write",
    LockKind.TREE: "read-write",
}
"""What the library calls them when it looks at them from outside."""

_NAMES = {"lock": "a lock", "semaphore": "a semaphore", "read-write": "a read/write lock"}


def misfit(spec: LockSpec, status: Status) -> str:
    """What is wrong with what is there; empty: nothing."""
    wanted = _KINDS[spec.mode]
    if status.kind == "foreign":
        return status.problem or f"{status.key!r} holds something that is not a lock"
    name = shown(status.name)
    if status.kind not in (wanted, "none"):
        limit = "" if status.kind != "semaphore" else f" with limit {status.limit}"
        holders = held_by(status.holders) if status.holders else "free"
        return f"{name} is {_NAMES[status.kind]}{limit}, {holders}; wanted {_NAMES[wanted]}"
    if spec.mode is LockKind.SEMAPHORE and status.limit not in (None, spec.limit):
        return f"{name} is a semaphore with limit {status.limit}, wanted {spec.limit}"
    return ""


def way_in(status: Status) -> str:
    """The options with which it could be used as what it is."""
    if status.kind == "semaphore":
        return f"--limit {status.limit} takes a slot of it; or use another --key"
    if status.kind == "read-write":
        return "--shared or --exclusive takes it; or use another --key"
    if status.kind == "lock":
        return "without --limit, --shared, --exclusive and --tree it is taken; or use another --key"
    return "use another --key"
