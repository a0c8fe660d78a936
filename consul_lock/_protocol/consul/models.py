"""What Consul answers, as records: keys, sessions, and how they are decoded."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeGuard

from consul_lock._protocol.consul.replies import check_reply, interpreted, not_of_consul, parse_json
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


_UINT64 = 2**64
"""Indexes and flags are below."""

# Seconds of a lock-delay: no duration of Go's has more.
_DELAY_MAX = 1e10

_SURROGATE = re.compile("[\ud800-\udfff]")

_INDEX = re.compile(r"-?[0-9]{1,19}", re.ASCII)

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
    lock_index: int = 0
    """How often it was acquired by a session that did not have it, since it was made."""


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
    value, session = entry.get("Value"), entry.get("Session") or ""
    key, flags = entry["Key"], entry["Flags"]
    created, modified = entry["CreateIndex"], entry["ModifyIndex"]
    locked = entry.get("LockIndex", 0)
    if not (
        _is_text(key)
        and _is_text(session)
        and type(flags) is int
        and type(created) is int
        and type(modified) is int
        and type(locked) is int
        and 0 <= locked < _UINT64
        and 0 <= flags < _UINT64 > created >= 0 <= modified < _UINT64
    ):
        raise TypeError("a field has a type or a value that Consul never gives it")
    decoded = binascii.a2b_base64(value, strict_mode=True) if value else b""
    return Pair(key, decoded, flags, session, created, modified, locked)


def _is_text(value: Any) -> TypeGuard[str]:
    """Whether it is text that can be sent and printed: no half of a pair of UTF-16."""
    return type(value) is str and (value.isascii() or _SURROGATE.search(value) is None)


def _index(text: str) -> int:
    """A header with an index; Python takes more for a number than Consul sends."""
    if not _INDEX.fullmatch(text):
        raise ValueError("not an index")
    return int(text)


def _pairs(entries: list[dict[str, Any]]) -> tuple[Pair, ...]:
    return tuple(map(parse_pair, entries))


def parse_read(reply: Reply, doing: str, rule: str, key: str | None = None) -> ReadResult:
    """The answer to a read; of one ``key`` alone, if it is given."""
    text = reply.headers.get("x-consul-index")
    # An index below 1 would make the next read return at once, for ever.
    index = max(1, interpreted(doing, _index, text or "1"))
    filtered = reply.headers.get("x-consul-results-filtered-by-acls") == "true"
    if reply.status == 404 and text is not None:
        return ReadResult(reply.sent, index, (), filtered)
    document = parse_checked(reply, doing, rule)
    pairs = interpreted(doing, _pairs, document)
    if key is not None and [pair.key for pair in pairs] != [key]:
        raise not_of_consul(doing, document)
    return ReadResult(reply.sent, index, pairs, filtered)


def parse_session(entry: dict[str, Any], sent: float) -> SessionInfo:
    checks: Iterable[str] = entry.get("NodeChecks") or entry.get("Checks") or ()
    services = entry.get("ServiceChecks") or ()
    delay = entry.get("LockDelay", 0) / 1e9
    if not 0 <= delay < _DELAY_MAX:
        raise ValueError("a lock-delay that no server has")
    return SessionInfo(
        sent,
        _named(entry["ID"]),
        _text_of(entry.get("Name") or ""),
        _text_of(entry.get("Node") or ""),
        _text_of(entry.get("TTL") or ""),
        delay,
        _text_of(entry.get("Behavior") or ""),
        tuple(map(_text_of, checks)),
        tuple(_text_of(check["ID"]) for check in services),
    )


def _text_of(value: Any) -> str:
    if not _is_text(value):
        raise TypeError("not a text")
    return value


def parse_renewal(reply: Reply, session: str) -> SessionInfo | None:
    # A 404 of something in front of Consul is no proof of death; Consul's own names it.
    named = b"ession id" in reply.body and session.encode() in reply.body
    if reply.status == 404 and named and b"not found" in reply.body:
        return None
    doing = "renewing a session"
    entries = parse_checked(reply, doing, SESSION_RULE)
    info = interpreted(doing, lambda found: parse_session(found[0], reply.sent), entries)
    if info.id != session:
        raise not_of_consul(doing, entries)  # the answer to the renewal of another
    return info


def parse_proof_of_life(reply: Reply, session: str) -> float | None:
    """The sending of a read of one session, if that shows it; else None."""
    doing = "reading a session"
    entries = parse_checked(reply, doing, 'session_prefix "" { policy = "read" }')
    shown = interpreted(doing, lambda found: [s["ID"] for s in found or ()], entries)
    if shown and shown != [session]:
        raise not_of_consul(doing, entries)
    return reply.sent if shown else None


def parse_sessions(reply: Reply) -> tuple[SessionInfo, ...]:
    doing = "listing sessions"
    entries = parse_checked(reply, doing, 'session_prefix "" { policy = "read" }')
    return interpreted(
        doing, lambda found: tuple(parse_session(entry, reply.sent) for entry in found), entries
    )


def parse_created(reply: Reply, doing: str) -> tuple[str, float]:
    """The id of a new session, and the time before sending."""
    document = parse_checked(reply, doing, SESSION_RULE)
    return interpreted(doing, lambda found: _named(found["ID"]), document), reply.sent


def _named(session: Any) -> str:
    """The id of a session, which becomes a part of paths."""
    if not (_is_text(session) and session and session.isprintable() and "/" not in session):
        raise ValueError("not the id of a session")
    return session


def parse_passed(reply: Reply) -> bool:
    """Whether a check was passed; False: the agent has none of that name (any more)."""
    if reply.status in (404, 500) and any(text in reply.body for text in _NO_SUCH_CHECK):
        return False
    check_reply(reply, "passing a heartbeat's check", SERVICE_RULE)
    return True


def base64_text(value: bytes) -> str:
    """A value as a transaction wants it."""
    return base64.b64encode(value).decode()
