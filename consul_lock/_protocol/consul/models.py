"""What Consul answers, as records: keys, sessions, and how they are decoded."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from consul_lock._protocol.consul.replies import check_reply, interpreted, parse_json
from consul_lock._protocol.flow import Reply

SESSION_RULE = 'session_prefix "" { policy = "write" }'

BEHAVIOR = "release"
"""What becomes of the keys of a session that ends: they stay, held by nobody.

Consul looks at the lock-delay when a request is *admitted*, before Raft; the end of a session
takes effect *in* Raft.  With the other behaviour, ``delete``, this can happen:

    the session of a cut-off holder is still there
    a newcomer sends [check-not-exists KEY, lock KEY]: admitted, no lock-delay yet
    the session ends, in Raft: KEY is deleted, and the lock-delay begins
    the newcomer's request is applied: there is no KEY, so it gets the lock

and two hold it until the cut-off holder's deadline.  With ``release`` KEY is still there when
the request is applied, and check-not-exists refuses it.  A client that then reads KEY without a
session reads the state after the end, in which every later ``[check-index KEY, lock KEY]`` is
admitted.  So an absent key was released in order, and one without a session belonged to somebody
who died.
"""

SERVICE = "consul-lock"
"""The name of the services that are heartbeats.  It is always the same, so that one ACL
rule covers them; their IDs differ."""

SERVICE_RULE = f'service "{SERVICE}" {{ policy = "write" }}'

# How an agent says that it knows no such check: newer ones, with 404, and 1.8 where there are
# ACLs; 1.8 where there are none.
_NO_SUCH_CHECK = (b"Unknown check", b"does not have associated TTL")


# As Consul makes the ids of sessions.
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def is_session(word: str) -> bool:
    """Whether a word looks like the id of a session: the key of one who died has no session any
    more, and only its name says whose it was."""
    return _SESSION.fullmatch(word) is not None


def key_rule(prefix: str, policy: str = "write") -> str:
    """The ACL rule that allows what is done below a prefix."""
    return f'key_prefix "{prefix}" {{ policy = "{policy}" }}'


def go_duration(seconds: float) -> str:
    """Consul's way to write a duration; always with a unit, as bare numbers are a trap."""
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{round(seconds * 1000)}ms"


class Pair(NamedTuple):
    """A key and what Consul says of it."""

    key: str
    value: bytes
    flags: int
    session: str
    """Id of the session that holds it, or an empty string."""
    create_index: int
    modify_index: int


class ReadResult(NamedTuple):
    """The answer to a read of keys."""

    sent: float
    raft_index: int
    """To wait for a change from, in the next read."""
    pairs: tuple[Pair, ...]
    filtered: bool = False
    """Consul has left out what the token may not see.  (Up to 1.10 it does not say so.)"""

    @property
    def pair(self) -> Pair | None:
        """The one pair of a read of one key; None: there is no such key."""
        return self.pairs[0] if self.pairs else None


class SessionOptions(NamedTuple):
    """What a session is asked to be; see `consul_lock._protocol.session.timing` for the rules."""

    ttl: float
    lock_delay: float
    checks: tuple[str, ...]
    service_checks: tuple[str, ...]
    name: str | None
    heartbeat: float | None = None
    """Seconds in which a dead process is noticed; None: when the TTL runs out."""
    behavior: str = BEHAVIOR
    """What becomes of the keys of a session that ends."""


class SessionInfo(NamedTuple):
    """What the server says that a session is."""

    sent: float
    id: str
    name: str
    node: str
    ttl: str
    lock_delay: float
    behavior: str
    checks: tuple[str, ...]
    service_checks: tuple[str, ...]


def parse_checked(reply: Reply, doing: str, rule: str) -> Any:
    check_reply(reply, doing, rule)
    return parse_json(reply, doing)


def parse_pair(entry: dict[str, Any]) -> Pair:
    value = entry.get("Value")
    return Pair(
        entry["Key"],
        base64.b64decode(value) if value else b"",
        entry["Flags"],
        entry.get("Session", ""),
        entry["CreateIndex"],
        entry["ModifyIndex"],
    )


def _pairs(entries: list[dict[str, Any]]) -> tuple[Pair, ...]:
    return tuple(map(parse_pair, entries))


def parse_read(reply: Reply, doing: str, rule: str) -> ReadResult:
    text = reply.headers.get("x-consul-index")
    # An index below 1 would make the next read return at once, for ever.
    index = max(1, interpreted(doing, int, text or 1))
    filtered = reply.headers.get("x-consul-results-filtered-by-acls") == "true"
    if reply.status == 404 and text is not None:
        return ReadResult(reply.sent, index, (), filtered)
    pairs = interpreted(doing, _pairs, parse_checked(reply, doing, rule))
    return ReadResult(reply.sent, index, pairs, filtered)


def parse_session(entry: dict[str, Any], sent: float) -> SessionInfo:
    checks: Iterable[str] = entry.get("NodeChecks") or entry.get("Checks") or ()
    services = entry.get("ServiceChecks") or ()
    return SessionInfo(
        sent,
        entry["ID"],
        entry.get("Name", ""),
        entry.get("Node", ""),
        entry.get("TTL", ""),
        entry.get("LockDelay", 0) / 1e9,
        entry.get("Behavior", ""),
        tuple(checks),
        tuple(check["ID"] for check in services),
    )


def parse_renewal(reply: Reply) -> SessionInfo | None:
    # A 404 of something in front of Consul is no proof of death; Consul's own names it.
    if reply.status == 404 and b"not found" in reply.body and b"ession id" in reply.body:
        return None
    doing = "renewing a session"
    entries = parse_checked(reply, doing, SESSION_RULE)
    return interpreted(doing, lambda found: parse_session(found[0], reply.sent), entries)


def parse_proof_of_life(reply: Reply) -> float | None:
    """The sending of a read of one session, if that shows it; else None."""
    doing = "reading a session"
    entries = parse_checked(reply, doing, 'session_prefix "" { policy = "read" }')
    alive = interpreted(doing, lambda found: bool([s["ID"] for s in found or ()]), entries)
    return reply.sent if alive else None


def parse_sessions(reply: Reply) -> tuple[SessionInfo, ...]:
    doing = "listing sessions"
    entries = parse_checked(reply, doing, 'session_prefix "" { policy = "read" }')
    return interpreted(
        doing, lambda found: tuple(parse_session(entry, reply.sent) for entry in found), entries
    )


def parse_created(reply: Reply, doing: str) -> tuple[str, float]:
    """The id of a new session, and the time before sending."""
    document = parse_checked(reply, doing, SESSION_RULE)
    return interpreted(doing, lambda found: str(found["ID"]), document), reply.sent


def parse_passed(reply: Reply) -> bool:
    """Whether a check was passed; False: the agent has none of that name (any more)."""
    if reply.status in (404, 500) and any(text in reply.body for text in _NO_SUCH_CHECK):
        return False
    check_reply(reply, "passing a heartbeat's check", SERVICE_RULE)
    return True


def base64_text(value: bytes) -> str:
    """A value as a transaction wants it."""
    return base64.b64encode(value).decode()
