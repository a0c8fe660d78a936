"""Sessions: what a client may ask for, and what the server remembers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from consul_lock.testing.durations import SECOND, parse_duration, print_duration
from consul_lock.testing.responses import refusal

SERF_HEALTH = "serfHealth"
TTL_MAX = 24 * 3600 * SECOND
LOCK_DELAY_MAX = 60 * SECOND
"""A longer lock-delay is stored and shown, but not enforced."""
_SMALL = 1000
"""A LockDelay below this is taken for seconds; from here on for nanoseconds."""


@dataclass(slots=True)
class Session:
    """A session, with the fields and defaults of ``PUT /v1/session/create``."""

    node: str
    id: str = ""
    name: str = ""
    lock_delay: int = 15 * SECOND
    """Nanoseconds."""
    behavior: str = "release"
    ttl: str = ""
    node_checks: list[str] | None = field(default_factory=lambda: [SERF_HEALTH])
    service_checks: list[dict[str, str]] | None = None
    checks: list[str] | None = field(default_factory=lambda: [SERF_HEALTH])
    """What clients of Consul before 1.7 send instead of ``node_checks``."""
    index: int = 0
    _shown: tuple[int, str] = (-1, "")
    """How it is written since it was added at this index: it does not change any more."""

    def check_ids(self) -> list[str]:
        """All checks that it is bound to."""
        services = [check["ID"] for check in self.service_checks or ()]
        return [*(self.checks or ()), *(self.node_checks or ()), *services]

    def ttl_seconds(self) -> float:
        """The TTL; 0.0 if it has none."""
        return parse_duration(self.ttl) / SECOND if self.ttl else 0.0

    def delay_seconds(self) -> float:
        """How long its keys stay closed after it was invalidated."""
        return min(self.lock_delay, LOCK_DELAY_MAX) / SECOND

    def json(self) -> str:
        """As Consul writes it."""
        if self._shown[0] == self.index and self.index:
            return self._shown[1]
        shown: dict[str, Any] = {
            "ID": self.id,
            "Name": self.name,
            "Node": self.node,
            "LockDelay": self.lock_delay,
            "Behavior": self.behavior,
            "TTL": self.ttl,
            "NodeChecks": self.node_checks,
            "ServiceChecks": self.service_checks,
        }
        if self.checks:
            shown["Checks"] = self.checks
        shown["CreateIndex"] = shown["ModifyIndex"] = self.index
        self._shown = self.index, json.dumps(shown, separators=(",", ":"))
        return self._shown[1]


def read_session(body: bytes | None, node: str, alias: str) -> Session:
    """The session that a create request asks for; a Refusal (400) if it cannot be read."""
    session = Session(node)
    if body:
        try:
            _fill(session, json.loads(body), alias)
        except json.JSONDecodeError as error:
            raise refusal(400, f"Request decode failed: {_syntax(error)}") from error
        except ValueError as error:
            raise refusal(400, f"Request decode failed: {error}") from error
    _reconcile_checks(session)
    return session


def _syntax(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc):
        return "unexpected EOF"
    found = error.doc[error.pos]
    where = "object key string" if "property name" in error.msg else "value"
    return f"invalid character '{found}' looking for beginning of {where}"


_TEXTS = {"name": "name", "node": "node", "behavior": "behavior", "ttl": "ttl"}
_FIELDS = {
    "name": "Name",
    "node": "Node",
    "behavior": "Behavior",
    "ttl": "TTL",
    "nodechecks": "NodeChecks",
    "checks": "Checks",
    "servicechecks": "ServiceChecks",
}


def _fill(session: Session, asked: Any, alias: str) -> None:
    if asked is None:
        return
    if not isinstance(asked, dict):
        raise ValueError(
            f"json: cannot unmarshal {kind(asked)} into Go value of type "
            "struct { LockDelay interface {}; *structs.Alias }"
        )
    for name, value in asked.items():
        _fill_field(session, name.lower(), value, alias)
    # Go parses it last, after the types of all other fields were found good.
    for name, value in asked.items():
        if name.lower() == "lockdelay" and value is not None:
            session.lock_delay = _lock_delay(value)


def _fill_field(session: Session, name: str, value: Any, alias: str) -> None:
    if name in _TEXTS:
        if value is not None:
            setattr(session, _TEXTS[name], _text(name, value, alias))
    elif name == "nodechecks":
        session.node_checks = _texts(name, value, alias)
    elif name == "checks":
        session.checks = _texts(name, value, alias)
    elif name == "servicechecks":
        session.service_checks = _service_checks(value, alias)


def _text(name: str, value: Any, alias: str) -> str:
    if not isinstance(value, str):
        field_name = _FIELDS[name]
        raise ValueError(
            f"json: cannot unmarshal {kind(value)} into Go struct field {alias}{field_name} "
            "of type string"
        )
    return value


def _texts(name: str, value: Any, alias: str) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        field_name = _FIELDS[name]
        raise ValueError(
            f"json: cannot unmarshal {kind(value)} into Go struct field {alias}{field_name} "
            "of type []string"
        )
    return [_text(name, item, alias) for item in value]


def _service_checks(value: Any, alias: str) -> list[dict[str, str]] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(
            f"json: cannot unmarshal {kind(value)} into Go struct field {alias}ServiceChecks "
            "of type []structs.ServiceCheck"
        )
    folded = [{name.lower(): text for name, text in item.items()} for item in value]
    return [
        {"ID": str(item.get("id") or ""), "Namespace": str(item.get("namespace") or "")}
        for item in folded
    ]


def kind(value: Any) -> str:
    """What Go's JSON decoder calls a value of the wrong type."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "null" if value is None else "object"


def _lock_delay(value: Any) -> int:
    delay = 0
    if isinstance(value, str):
        delay = parse_duration(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        delay = int(value)
    if delay < _SMALL:
        # A Go duration is a signed 64-bit number, which a negative delay can overflow here.
        delay = (delay * SECOND + (1 << 63)) % (1 << 64) - (1 << 63)
    return delay


def _reconcile_checks(session: Session) -> None:
    """Let the newer of the two fields for checks decide where a client sent only one."""
    if not session.checks:
        session.node_checks = []
    elif session.checks == [SERF_HEALTH] or not session.node_checks:
        session.checks = None


def validate_session(session: Session, ttl_min: float) -> None:
    """What the leader refuses (500) before it writes anything.  ``ttl_min`` in seconds."""
    session.behavior = session.behavior or "release"
    if session.behavior not in ("release", "delete"):
        raise refusal(500, f"Invalid Behavior setting '{session.behavior}'")
    if not session.ttl:
        return
    try:
        ttl = parse_duration(session.ttl)
    except ValueError as error:
        raise refusal(500, f"Session TTL '{session.ttl}' invalid: {error}") from error
    lowest = round(ttl_min * SECOND)
    if ttl and not lowest <= ttl <= TTL_MAX:
        raise refusal(
            500,
            f"Invalid Session TTL '{ttl}', must be between "
            f"[{print_duration(lowest)}={print_duration(TTL_MAX)}]",
        )


def text_key(session_id: str) -> str:
    """A session's place in the table of newer releases: its id, whatever that is."""
    return session_id.lower()


def session_key(session_id: str) -> str:
    """A session's place in the table: its 16 bytes.  A Refusal (500) if it is no UUID."""
    if len(session_id) != 36:
        raise refusal(500, "failed session lookup: index error: UUID must be 36 characters")
    if session_id.count("-") > 4:
        text = f'UUID should have maximum of 4 "-"; got {session_id.count("-")}'
        raise refusal(500, f"failed session lookup: index error: {text}")
    digits = session_id.replace("-", "")
    for digit in digits:
        if digit not in "0123456789abcdefABCDEF":
            raise refusal(
                500,
                "failed session lookup: index error: Invalid UUID: encoding/hex: invalid byte: "
                f"U+{ord(digit):04X} '{digit}'",
            )
    return bytes.fromhex(digits + "0" * (len(digits) % 2)).decode("latin-1")
