"""``/v1/agent/service/`` and ``/v1/agent/check/``: services and TTL checks come and go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from consul_lock.testing.agent_api import (
    nothing,
    remove_check,
    remove_service,
    restart,
    set_check,
    unknown_check,
)
from consul_lock.testing.durations import SECOND, parse_duration
from consul_lock.testing.health_checks import CRITICAL, STATUSES, TtlCheck
from consul_lock.testing.responses import Answer, document, refusal
from consul_lock.testing.server import Server

Asked = dict[str, Any]
"""What was sent, with its names folded."""


def register(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """Register a service and its TTL checks.  Others that it has stay."""
    del method, rest, params
    asked = _read(body)
    name = asked.get("name")
    if not name:
        raise refusal(400, "Missing service name")
    service = str(asked.get("id") or name)
    given = [asked["check"]] if asked.get("check") else []
    given += asked.get("checks") or []
    checks = []
    for at, check in enumerate(given, 1):
        default = f"service:{service}" if len(given) == 1 else f"service:{service}:{at}"
        known = str(check.get("checkid") or default)
        called = check.get("name") or f"Service '{name}' check"
        checks.append(_read_check(check, known, called, service))
    server.apply()
    server.checks.services[service] = str(name)
    for found, status in checks:
        _add(server, found, status)
    return nothing(server)


def deregister(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """Remove a service with its checks; an unknown one is fine."""
    del method, params, body
    if server.release.knows_ids and rest not in server.checks.services:
        hint = "Ensure that the service ID is passed, not the service name."
        raise refusal(404, f'Unknown service ID "{rest}". {hint}')
    if not rest:
        raise refusal(500, "ServiceID missing")
    remove_service(server, rest)
    return nothing(server)


def register_check(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """Register a TTL check of the node, or one more of a service."""
    del method, rest, params
    asked = _read(body)
    name = asked.get("name")
    if not name:
        raise refusal(400, "Missing check name")
    service = str(asked.get("serviceid") or "")
    if asked.get("status") not in (None, "", *STATUSES):
        raise refusal(400, "Bad check status")
    check, status = _read_check(asked, str(asked.get("id") or name), name, service)
    if service and service not in server.checks.services:
        code = 404 if server.release.knows_ids else 500
        raise refusal(code, f'ServiceID "{service}" does not exist')
    server.apply()
    check.alone = True
    _add(server, check, status)
    return nothing(server)


def deregister_check(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """Remove a check; an unknown one is fine."""
    del method, params, body
    if rest in server.checks.ttl:
        remove_check(server, rest)
    elif server.release.knows_ids:
        raise unknown_check(rest)
    elif not rest:
        raise refusal(500, "CheckID missing")
    return nothing(server)


def services(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """All services of this agent."""
    del method, rest, params, body
    known = sorted(server.checks.services.items())
    return document(json.dumps({service: _shown(server, service, name) for service, name in known}))


def checks(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """All checks registered at this agent: not the health of the node, which Serf judges."""
    del method, rest, params, body
    known = sorted(server.checks.ttl.items())
    return document(json.dumps({check: _shown_check(server, ttl) for check, ttl in known}))


def _add(server: Server, check: TtlCheck, status: str) -> None:
    """One that is known already keeps its status and gets its whole time again."""
    before = server.checks.ttl.get(check.id)
    if before is not None:
        before.stop()
        check.output, status = before.output, server.checks.status[check.id]
        del server.checks.status[check.id]  # So that it is set, with all that follows from it.
    server.checks.ttl[check.id] = check
    restart(server, check)
    set_check(server, check.id, status)


def _read(body: bytes) -> Asked:
    try:
        asked = _folded(json.loads(body))
    except json.JSONDecodeError as error:
        cause = "EOF" if not body.strip() else f"invalid character at offset {error.pos}"
        raise refusal(400, f"Request decode failed: {cause}") from error
    if not isinstance(asked, dict):
        raise refusal(400, "Request decode failed: json: cannot unmarshal")
    return asked


def _folded(value: Any) -> Any:
    """The same with all names in lower case and without underscores, as Consul reads them."""
    if isinstance(value, dict):
        return {name.lower().replace("_", ""): _folded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_folded(item) for item in value]
    return value


def _read_check(asked: Asked, known: str, name: str, service: str) -> tuple[TtlCheck, str]:
    """The check and its first status."""
    status = asked.get("status") or CRITICAL
    if status not in STATUSES:
        raise refusal(400, "Status for checks must 'passing', 'warning', 'critical'")
    ttl = _seconds(asked.get("ttl"))
    if ttl <= 0:
        raise refusal(400, "Invalid check: TTL must be > 0 for TTL checks")
    reap_after = _seconds(asked.get("deregistercriticalserviceafter"))
    notes = str(asked.get("notes") or "")
    return TtlCheck(known, name, service, ttl, reap_after, notes), status


def _seconds(value: Any) -> float:
    if isinstance(value, int | float):
        return value / SECOND
    try:
        return parse_duration(value) / SECOND if value else 0.0
    except ValueError as error:
        raise refusal(400, f"Request decode failed: {error}") from error


def _shown(server: Server, service: str, name: str) -> dict[str, Any]:
    more = {"Datacenter": "dc1"} if server.release.shows_more else {}
    return {
        "ID": service,
        "Service": name,
        "Tags": [],
        "Meta": {},
        "Port": 0,
        "Address": "",
        "Weights": {"Passing": 1, "Warning": 1},
        "EnableTagOverride": False,
        **more,
    }


def _shown_check(server: Server, check: TtlCheck) -> dict[str, Any]:
    never = "0s" if check.alone else ""
    more = {"Interval": never, "Timeout": never, "ExposedPort": 0}
    return {
        "Node": server.node,
        "CheckID": check.id,
        "Name": check.name,
        "Status": server.checks.status[check.id],
        "Notes": check.notes,
        "Output": check.output,
        "ServiceID": check.service,
        "ServiceName": server.checks.services.get(check.service, ""),
        "ServiceTags": [],
        "Type": "ttl",
        **(more if server.release.shows_more else {}),
        "Definition": {},
        "CreateIndex": 0,
        "ModifyIndex": 0,
    }
