"""Sessions of holders, and the health of the nodes that they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from consul_lock._protocol.consul.api import ConsulApi
from consul_lock._protocol.consul.durations import parse_duration
from consul_lock._protocol.consul.models import SESSION_RULE, SessionInfo, parse_checked
from consul_lock._protocol.consul.replies import interpreted
from consul_lock._protocol.flow import Flow, Reply, Request
from consul_lock.errors import ConfigError

# As Consul makes them; anything else in a path could be another path.
_SESSION = re.compile(r"[0-9A-Fa-f-]{1,64}", re.ASCII)


@dataclass(frozen=True)
class SessionStatus:
    """A session that is alive, as Consul describes it."""

    id: str
    name: str
    node: str
    """The node of the agent that made it: the session ends with that node."""
    ttl: float
    """Seconds; 0: it has none, and ends only with its node or a check."""
    lock_delay: float
    """Seconds."""
    behavior: str
    """What becomes of its keys: "delete" or "release"."""
    checks: tuple[str, ...]
    """The node checks that it is bound to."""
    service_checks: tuple[str, ...]
    """The ids of the service checks that it is bound to."""
    node_checks: Mapping[str, str] = field(default_factory=dict)
    """All checks of its node and what they say, by id: "passing", "warning" or "critical".
    Empty if the token may not see them."""

    @property
    def node_health(self) -> str:
        """The worst of the node's checks; empty if they are not known."""
        found = set(self.node_checks.values())
        return next((s for s in ("critical", "warning", "passing") if s in found), "")


def session_id(session: str) -> str:
    """The id itself; raises `ConfigError` if it cannot be one."""
    if not _SESSION.fullmatch(session):
        raise ConfigError(f"{session!r} is no id of a session", kind="value")
    return session


def sessions(api: ConsulApi, ids: Iterable[str]) -> Flow[dict[str, SessionStatus]]:
    """Those of the sessions that are alive, by id.  One request, and one for each node."""
    wanted = frozenset(ids)
    everything: tuple[SessionInfo, ...] = yield from api.sessions()
    alive = [info for info in everything if info.id in wanted]
    nodes: dict[str, Mapping[str, str]] = {}
    for node in sorted({info.node for info in alive}):
        nodes[node] = yield _node_checks(api, node)
    return {info.id: _status(info, nodes[info.node]) for info in alive}


def _status(info: SessionInfo, node_checks: Mapping[str, str]) -> SessionStatus:
    return SessionStatus(
        info.id,
        info.name,
        info.node,
        parse_duration(info.ttl),
        info.lock_delay,
        info.behavior,
        info.checks,
        info.service_checks,
        node_checks,
    )


def _node_checks(api: ConsulApi, node: str) -> Request:
    def parse(reply: Reply) -> Mapping[str, str]:
        if reply.status in (301, 400, 401, 403, 404):
            # The token may not see it, or its name is nothing for the path of a URL, as ``..``:
            # that is no reason to show nothing at all.
            return {}
        entries = parse_checked(reply, f"reading the health of node {node!r}", f'node "{node}"')
        return interpreted(
            "reading the health of a node",
            lambda found: {str(c["CheckID"]): str(c["Status"]) for c in found},
            entries,
        )

    return api.ask(f"/v1/health/node/{node}", parse)


def liveness(api: ConsulApi, session: str) -> Flow[tuple[bool, int]]:
    """Whether a session is alive, and the Raft index of the last change of any session."""

    def parse(reply: Reply) -> tuple[bool, int]:
        found = parse_checked(reply, f"reading session {session}", SESSION_RULE)
        return bool(found), int(reply.headers.get("x-consul-index") or 0)

    seen: tuple[bool, int] = yield api.ask(f"/v1/session/info/{session}", parse)
    return seen
