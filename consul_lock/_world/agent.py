"""``/v1/agent/`` and ``/v1/status/``: as much as heartbeats and a first look at Consul need.

The real agent keeps services for itself and tells the servers a moment later; here the servers
know at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .answer import EMPTY, Answer, document, refusal
from .checks import CRITICAL, PASSING, STATUSES, TtlCheck
from .duration import SECOND, parse_duration
from .server import Server

VERSION = "1.8.7"
_REAP_MIN = 60.0  # A shorter DeregisterCriticalServiceAfter is raised to this.
_REAP_EVERY = 30.0


def leader(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """The address of the leader, empty if there is none."""
    del method, rest, params, body
    return document('""' if server.leaderless else '"127.0.0.1:8300"')


def about(server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes) -> Answer:
    """Who this agent is."""
    del method, rest, params, body
    config = {
        "Datacenter": "dc1",
        "NodeName": server.node,
        "NodeID": "00000000-0000-0000-0000-000000000001",
        "Revision": "",
        "Server": True,
        "Version": VERSION,
    }
    member = {"Name": server.node, "Addr": "127.0.0.1", "Status": 1}
    return document(json.dumps({"Config": config, "Member": member}))


def register(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """Register a service and its TTL checks."""
    del method, rest, params
    asked = _read_service(body)
    name = asked.get("name")
    if not name:
        raise refusal(400, "Missing service name")
    service = str(asked.get("id") or name)
    given = [asked["check"]] if asked.get("check") else []
    given += asked.get("checks") or []
    checks = [_read_check(service, at, check, len(given)) for at, check in enumerate(given, 1)]
    for old in server.checks.of(service):
        if old.id not in [check.id for check, _ in checks]:
            remove_check(server, old.id)
    server.apply()
    for check, status in checks:
        before = server.checks.ttl.get(check.id)
        if before is not None:
            before.stop()
        server.checks.ttl[check.id] = check
        _restart(server, check)
        set_check(server, check.id, status)
    return EMPTY


def deregister(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """Remove a service with its checks; an unknown one is fine."""
    del method, params, body
    if not rest:
        raise refusal(500, "ServiceID missing")
    _forget(server, rest)
    return EMPTY


def check_pass(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """A TTL check is passed."""
    del method, params, body
    check = server.checks.ttl.get(rest)
    if check is None:
        raise refusal(500, f'CheckID "{rest}" does not have associated TTL')
    _restart(server, check)
    set_check(server, check.id, PASSING)
    return EMPTY


def set_check(server: Server, check: str, status: str) -> None:
    """A check has a new status; a critical one kills the sessions that are bound to it."""
    if server.checks.status.get(check) == status:
        return
    server.checks.status[check] = status
    ttl = server.checks.ttl.get(check)
    if ttl is not None and ttl.reaper is not None:
        ttl.reaper.cancel()
        ttl.reaper = None
    if status != CRITICAL:
        server.apply()
        return
    if ttl is not None and ttl.reap_after:
        ttl.reaper = server.time.at(_reap_time(server, ttl), lambda: _reap(server, ttl))
    if not server.leaderless:  # Else the next leader hears of it.
        server.invalidate_bound(check)


def remove_check(server: Server, check: str) -> None:
    """A check is gone, and with it the sessions that are bound to it."""
    server.checks.status.pop(check, None)
    ttl = server.checks.ttl.pop(check, None)
    if ttl is not None:
        ttl.stop()
    server.invalidate_bound(check)


def _forget(server: Server, service: str) -> None:
    for check in server.checks.of(service):
        remove_check(server, check.id)


def _reap(server: Server, check: TtlCheck) -> None:
    _forget(server, check.service)


def _restart(server: Server, check: TtlCheck) -> None:
    if check.timer is not None:
        check.timer.cancel()
    due = server.time.now + check.ttl
    check.timer = server.time.at(due, lambda: set_check(server, check.id, CRITICAL))


def _reap_time(server: Server, check: TtlCheck) -> float:
    due = server.time.now + max(check.reap_after, _REAP_MIN)
    return -(-due // _REAP_EVERY) * _REAP_EVERY


def _read_service(body: bytes) -> dict[str, Any]:
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


def _read_check(service: str, at: int, asked: dict[str, Any], of: int) -> tuple[TtlCheck, str]:
    """The check and its first status."""
    status = asked.get("status") or CRITICAL
    if status not in STATUSES:
        raise refusal(400, "Status for checks must 'passing', 'warning', 'critical'")
    ttl = _seconds(asked.get("ttl"))
    if ttl <= 0:
        raise refusal(400, "Invalid check: TTL must be > 0 for TTL checks")
    default = f"service:{service}" if of == 1 else f"service:{service}:{at}"
    reap_after = _seconds(asked.get("deregistercriticalserviceafter"))
    return TtlCheck(str(asked.get("checkid") or default), service, ttl, reap_after), status


def _seconds(value: Any) -> float:
    if isinstance(value, int | float):
        return value / SECOND
    try:
        return parse_duration(value) / SECOND if value else 0.0
    except ValueError as error:
        raise refusal(400, f"Request decode failed: {error}") from error
