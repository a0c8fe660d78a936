"""What an answer of Consul means: a value, a refusal, or an error of the right class.

Texts and statuses were read off Consul 1.8.7 and the sources up to 1.22; newer servers put
prefixes before them, so they are matched as parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from consul_lock._protocol.flow import Reply
from consul_lock.errors import ConfigError, PermissionDenied, Refused, Unavailable

T = TypeVar("T")

# Answers of status 500 that say for certain that nothing was carried out.  The last three come
# from an agent that was just started: it knows no server yet, or the servers do not know it.
_NOT_APPLIED = (
    "No cluster leader",
    "rpc error getting client",
    "node is not the leader",
    "No known Consul servers",
    "No path to datacenter",
    "Missing node registration",
)

# Answers of status 500 about a health check that a session is to be bound to.  Checks come and
# go: an agent that was just started has not sent its own to the servers yet.
_CHECKS = ("Missing check", "is in critical state")

# Answers of status 500 (or 400) that blame what was asked for.
_BAD_SETTING = (
    "Invalid Session TTL",
    "missing unit",
    "invalid key name",
    "Invalid behavior",
    "Conflicting flags",
    "exceeds",
    "too large",
)

# What a server says of a request that it did not look at, as there were too many (429 or 503).
_LIMITED = "rate limit exceeded"

# What helps against the two limits that an agent names in an answer of status 429.
_REQUESTS = "it is tried again more slowly, and fewer clients would help"
_CONNECTIONS = (
    "fewer clients on this host would help: an agent serves 200 connections of one address, unless"
    " its limits.http_max_conns_per_client says otherwise"
)

# The statuses that an agent gives where it does not fail (a 404 that says nothing is missing is
# distinguished by the caller: see `records.found` and `records.renewed`).
_AGENTS = (400, 403, 405, 409, 413)

TXN_OPERATIONS_MAX = 64
"""Operations of one transaction at most: Consul up to 1.13 takes no more, later ones 128."""

# Seconds of a Retry-After that are believed at most: a longer pause would not even see that the
# limit was lifted, and callers have timeouts of their own.
_RETRY_AFTER_MAX = 60.0

# An ACL rule for a prefix, as flows name it.
_RULE = re.compile(r'(\w+)_prefix "(.*?)" { policy = "(\w+)" }')

# Most of `json.loads`, in fewer calls.
_raw_decode = json.JSONDecoder().raw_decode

# One answer's text in an error message: enough to recognise it, not a page of HTML.
_EXCERPT = 200


# What reading a document raises that is not built as expected.
_MISUNDERSTOOD = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class NotConsul(ConfigError):
    """An answer that no agent of Consul gives.  `Contact` decides what becomes of it."""


class TxnResult(NamedTuple):
    """The answer to a transaction."""

    sent: float
    raft_index: int
    """The highest ModifyIndex among the results: of a write, its own Raft index."""
    pairs: tuple[Any, ...]
    errors: tuple[tuple[int, str], ...]
    """``(operation, text)`` of everything that was refused; empty: all was carried out."""
    filtered: bool = False
    """Consul has left out what the token may not see.  (Up to 1.10 it does not say so.)"""

    @property
    def done(self) -> bool:
        return not self.errors

    def says(self, text: str, operation: int | None = None) -> bool:
        """Whether a refusal, of this operation if one is given, contains the text."""
        return any(text in what for op, what in self.errors if operation in (None, op))

    def refusals(self, first: int, count: int) -> list[str]:
        """The texts that refuse so many operations, from the ``first`` on."""
        return [what for op, what in self.errors if first <= op < first + count]

    def invalid(self, session: str) -> bool:
        """Whether it was refused because this session is dead, and not a waiter's."""
        return any("invalid session" in what and session in what for _, what in self.errors)

    @property
    def delayed(self) -> bool:
        """The key is in lock-delay: its last holder vanished a short time ago."""
        return self.says("due to lock delay")

    @property
    def reasons(self) -> str:
        return printable("; ".join(what for _, what in self.errors))


def excerpt(body: bytes) -> str:
    """The beginning of a body, fit for an error message: on one line, and without anything that a
    terminal would obey.  It may be that of a proxy, or of a server that is no Consul at all."""
    text = " ".join(body[: 16 * _EXCERPT].decode("utf-8", "replace").split())
    return printable(text if len(text) <= _EXCERPT else text[:_EXCERPT] + "...")


def printable(text: str) -> str:
    """The text, with what a terminal would obey or could not show written as Python escapes it."""
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    )


def check_reply(reply: Reply, doing: str, rule: str) -> None:
    """Raise the error that the answer stands for, if it is one.

    ``doing`` says what was tried, ``rule`` is the ACL rule that it needs.
    """
    status = reply.status
    page = reply.body[:64].lstrip()[:1] == b"<"
    if status == 200 and not page:
        return
    text = excerpt(reply.body)
    if status == 429 or status >= 500:
        _failed(reply, text, doing, rule)
    if page or status not in _AGENTS:
        raise _not_consul(reply, text, doing)
    if status == 403 or _is_denial(text):
        raise denied(text, doing, rule)
    if status == 413:
        raise Refused(
            f"{doing}: the value is too large for this server ({text})",
            hint="store less",
            kind="too-large",
            answer=text,
        )
    raise Refused(
        f"{doing}: Consul refused it with status {status}: {text}", kind="rejected", answer=text
    )


def _is_denial(text: str) -> bool:
    return "Permission denied" in text or "ACL not found" in text


def _not_consul(reply: Reply, text: str, doing: str) -> NotConsul:
    status = reply.status
    if status in (301, 302, 303, 307, 308):
        target = reply.headers.get("location", "elsewhere")
        return NotConsul(
            f"{doing}: the server redirects to {target!r} instead of answering",
            hint="is the address that of a Consul agent, and is the name clean (no '//', no '..')?",
            kind="not-consul",
        )
    if status == 401:
        return NotConsul(
            f"{doing}: a proxy in front of Consul wants a login (401: {text!r})",
            hint="give it user and password with http_auth= or CONSUL_HTTP_AUTH",
            kind="not-consul",
            settings=("http_auth",),
        )
    if status == 200:
        return _not_json(text, doing)
    return NotConsul(
        f"{doing}: the server answered {status} {text!r}, which no Consul agent would",
        hint="does the address point to Consul?",
        kind="not-consul",
    )


def _not_json(text: str, doing: str) -> NotConsul:
    return NotConsul(
        f"{doing}: the answer is not JSON but {text!r}",
        hint="does the address point to a Consul agent, or to something in front of it that"
        " wants a login?",
        kind="not-consul",
    )


def _failed(reply: Reply, text: str, doing: str, rule: str) -> None:
    """Raise the error for an answer that says that the server could not do it."""
    status, retry_after = reply.status, _retry_after(reply)
    if _is_denial(text):
        raise denied(text, doing, rule)
    if any(part in text for part in _CHECKS):
        raise Refused(
            f"{doing}: Consul refused it: {text}: a session is bound to that health check, which"
            " has to be registered on its node, and passing",
            kind="health-check",
            answer=text,
            temporary=True,
        )
    if any(part in text for part in _BAD_SETTING):
        raise Refused(f"{doing}: Consul refused it: {text}", kind="bad-value", answer=text)
    if status == 429 or _LIMITED in text:
        raise Unavailable(
            f"{doing}: Consul limits the rate of requests ({status}: {text})",
            hint=_CONNECTIONS if "concurrent connections" in text else _REQUESTS,
            kind="rate-limit",
            uncertain=False,
            status=status,
            retry_after=retry_after,
        )
    if status == 504:
        raise Unavailable(
            f"{doing}: a proxy in front of Consul did not wait for the answer (504: {text})",
            hint="it must let an answer take 20 s, as Consul answers late where nothing changes",
            kind="server-error",
            status=status,
            retry_after=retry_after,
        )
    leaderless = "leader" in text
    raise Unavailable(
        f"{doing}: Consul answered {status}: {text}",
        hint="'consul operator raft list-peers' shows the servers" if leaderless else "",
        kind="no-leader" if leaderless else "server-error",
        uncertain=not any(part in text for part in _NOT_APPLIED),
        status=status,
        retry_after=retry_after,
    )


def _retry_after(reply: Reply) -> float | None:
    """Seconds that the answer asks to wait; a date, its other form, is not read: no clock here."""
    text = reply.headers.get("retry-after", "").strip()
    if not (text.isascii() and text.isdigit()):
        return None
    return float(min(int(text[:9]), _RETRY_AFTER_MAX))


def denied(text: str, doing: str, rule: str) -> PermissionDenied:
    """The error for an ACL that says no, with the rule that would say yes."""
    unknown = "ACL not found" in text
    if unknown:
        why = "the token is unknown to the cluster: expired, deleted, or of another cluster"
    else:
        why = "the token may not do this"
    return PermissionDenied(
        f"{doing}: {why} ({text})",
        hint=f"it needs the rule  {rule}",
        kind="unknown-token" if unknown else "denied",
        rule=rule,
        access=_access(rule),
        action=doing,
    )


def _access(rule: str) -> str:
    """What rules for prefixes grant, in short: ``key:write on "jobs/"``.  "": there are none."""
    granted: dict[str, list[str]] = {}
    for resource, prefix, policy in _RULE.findall(rule):
        # Sessions are not distinguished: they belong to nodes.
        places = granted.setdefault(f"{resource}:{policy}", [])
        places += [] if resource == "session" else [f'"{prefix}"']
    return ", ".join(
        f"{what} on {_and(places)}" if places else what for what, places in granted.items()
    )


def _and(places: list[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(places[:-1]), places[-1])))


def parse_json(reply: Reply, doing: str) -> Any:
    """The JSON of an answer of status 200."""
    try:
        text = str(reply.body, "utf-8")
        found, end = _raw_decode(text) if text[:1] in ("{", "[") else (None, -1)
        return json.loads(text) if end < 0 or text[end:].strip(" \t\r\n") else found
    except (ValueError, RecursionError) as error:
        raise _not_json(excerpt(reply.body), doing) from error


def interpreted(doing: str, build: Callable[[Any], T], document: Any) -> T:
    """What is built of a document, or the error for one that no Consul would send."""
    try:
        return build(document)
    except _MISUNDERSTOOD as error:
        raise not_of_consul(doing, document) from error


def not_of_consul(doing: str, document: Any) -> NotConsul:
    """The error for JSON that no agent answers that request with."""
    try:
        text = excerpt(json.dumps(document).encode())
    except RecursionError:
        text = "it is nested too deeply"
    return NotConsul(
        f"{doing}: the answer is JSON, but not that of a Consul agent ({text})",
        hint="does the address point to Consul?",
        kind="not-consul",
    )


def _check_shown(expected: Sequence[tuple[str, str | None]], pairs: list[Any]) -> None:
    # One is unlocked and locked anew in a hand-over: then its key is shown twice.
    shown = {(pair.key, pair.session) for pair in pairs} | {(pair.key, None) for pair in pairs}
    if not shown.issuperset(expected):
        raise ValueError("the answer to another request")


def _refusals(document: dict[str, Any], count: int) -> tuple[tuple[int, str], ...]:
    errors = tuple((e["OpIndex"], e["What"]) for e in document.get("Errors") or ())
    for place, what in errors:
        if type(place) is not int or not 0 <= place < count or type(what) is not str:
            raise ValueError("not the refusal of one of the operations")
    return errors


def parse_transaction(
    reply: Reply,
    doing: str,
    rule: str,
    to_pair: Callable[[dict[str, Any]], Any],
    count: int,
    shown: Sequence[tuple[str, str | None]] = (),
) -> TxnResult:
    """The outcome of a transaction of so many operations: carried out, or refused with reasons
    (status 409).

    ``shown``: the keys that its operations write or check, each with the session that holds it
    then (None: whichever).  Consul shows them all once it has carried it out; an answer that does
    not is that to another request, and proves nothing.
    """
    if reply.status == 409:
        errors = interpreted(doing, lambda found: _refusals(found, count), parse_json(reply, doing))
        denials = [(place, what) for place, what in errors if _is_denial(what)]
        if denials:
            error = denied(denials[0][1], doing, rule)
            error.operations = tuple(place for place, _ in denials)
            raise error
        return TxnResult(reply.sent, 0, (), errors or ((0, excerpt(reply.body)),))
    check_reply(reply, doing, rule)
    document = parse_json(reply, doing)
    pairs, highest = [], 0
    try:
        for result in document["Results"] or ():
            if "KV" in result:
                found = to_pair(result["KV"])
                pairs.append(found)
                highest = max(highest, found.modify_index)
        if document.get("Errors"):
            raise ValueError("carried out, and refused")
        if shown:
            _check_shown(shown, pairs)
    except _MISUNDERSTOOD as error:
        raise not_of_consul(doing, document) from error
    # Of a transaction that only looks this is in the body, and in no header.
    filtered = document.get("ResultsFilteredByACLs") is True
    return TxnResult(reply.sent, highest, tuple(pairs), (), filtered)
