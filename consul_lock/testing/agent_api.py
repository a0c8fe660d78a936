"""``/v1/status/`` and ``/v1/agent/``: a first look at Consul, and the checks of an agent.

The real agent keeps checks for itself and informs the servers a moment later; here the servers
know at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from consul_lock.testing.health_checks import CRITICAL, PASSING, WARNING, TtlCheck
from consul_lock.testing.responses import Answer, Refusal, document, refusal
from consul_lock.testing.server import Server
from consul_lock.testing.sessions import SERF_HEALTH

_REAP_MIN = 60.0  # A shorter DeregisterCriticalServiceAfter is raised to this.
_REAP_EVERY = 30.0
_EXPIRED = "TTL expired"


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
        "Version": server.release.version,
    }
    member = {"Name": server.node, "Addr": "127.0.0.1", "Status": 1}
    return document(json.dumps({"Config": config, "Member": member}))


def check_pass(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """A TTL check is passed."""
    del method, body
    return _update(server, rest, PASSING, params)


def check_warn(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """A TTL check is not well, which kills nothing."""
    del method, body
    return _update(server, rest, WARNING, params)


def check_fail(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Answer:
    """A TTL check is failed."""
    del method, body
    return _update(server, rest, CRITICAL, params)


def _update(server: Server, rest: str, status: str, params: Mapping[str, str]) -> Answer:
    check = server.checks.ttl.get(rest)
    if server.release.knows_ids and rest not in server.checks.status.keys() - {SERF_HEALTH}:
        raise unknown_check(rest)
    if check is None:
        raise refusal(500, f'CheckID "{rest}" does not have associated TTL')
    check.output = check.said = params.get("note", "")
    restart(server, check)
    set_check(server, check.id, status)
    return nothing(server)


def nothing(server: Server) -> Answer:
    """All is well, and there is nothing to say."""
    return Answer(200, server.release.empty, b"")


def unknown_check(check: str) -> Refusal:
    """The refusal of newer releases to do anything with a check that they do not have."""
    hint = "Ensure that the check ID is passed, not the check name."
    return refusal(404, f'Unknown check ID "{check}". {hint}')


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


def remove_service(server: Server, service: str) -> None:
    """A service is gone with its checks; an unknown one is fine."""
    server.checks.services.pop(service, None)
    for check in server.checks.of(service):
        remove_check(server, check.id)


def restart(server: Server, check: TtlCheck) -> None:
    """A check has its whole time again."""
    if check.timer is not None:
        check.timer.cancel()
    check.timer = server.time.at(server.time.now + check.ttl, lambda: _expire(server, check))


def _expire(server: Server, check: TtlCheck) -> None:
    said = f" (last output before timeout follows): {check.said}" if check.said else ""
    check.output = _EXPIRED + said
    set_check(server, check.id, CRITICAL)


def _reap(server: Server, check: TtlCheck) -> None:
    remove_service(server, check.service)


def _reap_time(server: Server, check: TtlCheck) -> float:
    due = server.time.now + max(check.reap_after, _REAP_MIN)
    return -(-due // _REAP_EVERY) * _REAP_EVERY
