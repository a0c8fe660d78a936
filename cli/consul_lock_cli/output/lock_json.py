"""What --json prints: the documented fields of docs/json.md, and nothing else.

A field is never renamed, removed or given another meaning within one version ``v``; new ones may
come.  Times are RFC 3339 in UTC, and once more as seconds since the epoch; durations are seconds;
what is not known is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from consul_lock_cli.base.clock import rfc3339

if TYPE_CHECKING:
    from consul_lock import Break, Change, Holder, Leftover, SessionStatus, Status

VERSION = 1

HOLDER = (
    "session", "host", "pid", "user", "command", "since", "since_epoch", "meta", "token",
    "confirmed", "foreign", "vanished", "value",
)  # fmt: skip
"""Fields of a holder or waiter."""

STATUS = (
    "name", "key", "kind", "state", "mode", "limit", "holders", "waiters", "flags", "index",
    "value", "size", "problem", "last_holder", "last_break",
)  # fmt: skip
"""Fields of a lock, or of anything else that is there."""

SESSION = (
    "alive", "session_name", "node", "node_health", "node_checks", "ttl", "lock_delay", "behavior",
    "checks", "service_checks",
)  # fmt: skip
"""What `holders` says besides `HOLDER`: the session behind it."""

BREAK = ("session", "at", "at_epoch", "host", "user", "reason")
"""Fields of a ``last_break``."""

EVENT = ("event", "at", "at_epoch", "name", "key", "kind", "state", "mode", "holder", "last_break")
"""Fields of something that has happened."""

BROKEN = (*HOLDER, "name", "key", "others")
"""Fields of a holder whose session was destroyed."""

CLEANED = ("name", "key", "what", "holder", "index", "outcome")
"""Fields of a key that somebody who died has left."""

# Characters of a foreign value: to recognise it.  Some are half a megabyte.
_VALUE_MAX = 256


def dumps(value: Any) -> str:
    """JSON in ASCII: no escape sequence of anybody's gets through."""
    import json  # every start would pay for it

    return json.dumps(value)


def document(items: Iterable[Mapping[str, Any]], *, hidden: bool = False, **more: Any) -> str:
    """All items, as one document of one line; ``hidden``: there are more, which the token may not
    read."""
    more = {"hidden": True, **more} if hidden else more
    return dumps({"v": VERSION, "items": list(items), **more})


def line(item: Mapping[str, Any]) -> str:
    """One item of a stream."""
    return dumps({"v": VERSION, **item})


def error(code: int, message: str) -> str:
    """What is printed instead if it fails."""
    return document((), error={"code": int(code), "message": message})


def status_item(status: Status) -> dict[str, Any]:
    """A lock, a semaphore, or what else is there."""
    foreign = status.kind == "foreign"
    return {
        "name": status.name,
        "key": status.key,
        "kind": status.kind,
        "state": status.state,
        "mode": status.mode or None,
        "limit": status.limit,
        "holders": [holder_item(h, h.session in status.vanished) for h in status.holders],
        "waiters": [holder_item(waiter) for waiter in status.waiters],
        "flags": status.flags,
        "index": status.index or None,
        "value": text(status.value)[:_VALUE_MAX] if foreign else None,
        "size": len(status.value) if foreign else None,
        "problem": status.problem or None,
        "last_holder": last_item(status.last_holder),
        "last_break": break_item(status.last_break),
    }


def text(value: bytes) -> str:
    r"""A value of somebody else; of bytes that are no text, all that is not ASCII is \xNN."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("ascii", "backslashreplace")


def break_item(last: Break | None) -> dict[str, Any] | None:
    """Who broke a hold, and why; None: nobody that is known."""
    if last is None:
        return None
    at = moment(last.at)
    return {
        "session": last.session,
        "at": at,
        "at_epoch": last.at if at else None,
        "host": last.host,
        "user": last.user,
        "reason": last.reason or None,
    }


def holder_item(holder: Holder, vanished: bool = False) -> dict[str, Any]:
    """Who holds it, or waits for it."""
    since = moment(holder.since)
    return {
        "session": holder.session,
        "host": holder.host or None,
        "pid": holder.pid or None,
        "user": holder.user or None,
        "command": holder.command or None,
        "since": since,
        "since_epoch": holder.since if since else None,
        "meta": dict(holder.meta),
        "token": holder.token,
        "confirmed": holder.confirmed,
        "foreign": holder.foreign,
        "vanished": vanished,
        "value": holder.value or None,
    }


def last_item(holder: Holder | None) -> dict[str, Any] | None:
    """A holder that died, whose session is not known any more; None: there is none."""
    return None if holder is None else {**holder_item(holder, vanished=True), "session": None}


def cleaned_item(leftover: Leftover, outcome: str | None) -> dict[str, Any]:
    """A key that somebody who died has left, and what became of it; None: nothing yet."""
    holder = leftover.holder
    dead = None if holder is None else holder_item(holder, vanished=True)
    return {
        "name": leftover.name,
        "key": leftover.key,
        "what": leftover.what,
        "holder": dead and {**dead, "session": dead["session"] or None},
        "index": leftover.index or None,
        "outcome": outcome,
    }


def session_item(session: SessionStatus | None, vanished: bool) -> dict[str, Any]:
    """The session behind a holder; None: it is not alive, or the token may not see it."""
    if session is None:
        return {**dict.fromkeys(SESSION), "alive": False if vanished else None}
    return {
        "alive": True,
        "session_name": session.name,
        "node": session.node,
        "node_health": session.node_health or None,
        "node_checks": dict(session.node_checks),
        "ttl": session.ttl or None,
        "lock_delay": session.lock_delay,
        "behavior": session.behavior,
        "checks": list(session.checks),
        "service_checks": list(session.service_checks),
    }


def event_item(change: Change, at: float) -> dict[str, Any]:
    """Something that has happened, as it was seen."""
    status = change.status
    return {
        "event": change.what,
        "at": moment(at),
        "at_epoch": at,
        "name": status.name,
        "key": status.key,
        "kind": status.kind,
        "state": status.state,
        "mode": status.mode or None,
        "holder": holder_item(change.holder, change.holder.session in status.vanished),
        "last_break": break_item(status.last_break),
    }


def moment(epoch: float) -> str | None:
    """A time in RFC 3339.  None: there is none, or none that a calendar has."""
    if not epoch:
        return None
    try:
        return rfc3339(epoch)
    except (OverflowError, OSError, ValueError):
        return None
