"""Checks of Consul itself: the agent, the leader, the token, the node's health."""

from __future__ import annotations

import re
import statistics
import time
from datetime import datetime
from typing import Any

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.doctor.certificate import SOON
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, Trouble, ok, skip, warn

_TESTED_MIN, _TESTED_MAX = (1, 8), (1, 21)
"""The oldest and the newest Consul that this was tested with: see docs/support.md."""

# Seconds for what the agent answers by itself.  A healthy one needs milliseconds.
_LOCAL = 4.0

# Round trips to take the median of, and the seconds above which a lock feels slow.
_TRIPS = 5
_SLOW = 0.25


def agent(context: DoctorContext) -> Finding:
    """Something answers as a Consul agent does, and is recent enough."""
    limit = min(_LOCAL, context.config.request_timeout)
    answer = context.agent.ask("GET", "/v1/agent/self", timeout=limit)
    if answer.denied:
        if "ACL not found" in answer.text:
            raise _unknown_token()
        return warn(
            "its version is unknown: the token may not read it",
            'locks do not need it; agent_prefix "" { policy = "read" } would allow it,'
            " and 'consul lock' needs it",
        )
    known = answer.json()
    config = known.get("Config", {}) if isinstance(known, dict) else {}
    version, node = str(config.get("Version", "")), str(config.get("NodeName", ""))
    found = re.match(r"(\d+)\.(\d+)", version)
    if not found:
        raise Trouble(
            f'this is not a Consul agent: it answers "{shown(answer.text)}"',
            "is there another program, or a proxy, at this address?",
            ExitCode.CONFIG,
        )
    context.node = node
    release = (int(found[1]), int(found[2]))
    if release < _TESTED_MIN:
        return warn(f"Consul {version} is older than the oldest tested version", "use 1.8 or later")
    where = f"node {shown(node)}, datacenter {config.get('Datacenter')}"
    if release > _TESTED_MAX:
        # Nothing is known to be wrong with it, so it is no warning.
        newest = ".".join(map(str, _TESTED_MAX))
        return ok(f"Consul {version}, newer than the newest tested version ({newest}), {where}")
    return ok(f"Consul {version}, {where}")


def client_agent(context: DoctorContext) -> Finding:
    """It is no server: Consul drops all sessions of a server that leaves."""
    answer = context.agent.ask("GET", "/v1/agent/self")
    if answer.denied:
        return skip("the token may not ask")
    if not answer.json().get("Config", {}).get("Server"):
        return ok("it is a client agent")
    return warn(
        "this agent is a server: its sessions end when it is replaced",
        "in production use the client agent of each host; the lock-delay covers the rest",
    )


def leader(context: DoctorContext) -> Finding:
    """The cluster has one."""
    found = context.agent.ask("GET", "/v1/status/leader", timeout=_LOCAL).json()
    if not found:
        raise Trouble("Consul has no cluster leader", "'consul operator raft list-peers'")
    return ok(f"the leader is {found}")


def latency(context: DoctorContext) -> Finding:
    """A question that only the leader may answer comes back soon: the median of a few."""
    took = []
    for _ in range(_TRIPS):
        started = time.monotonic()
        context.agent.ask("GET", f"/v1/kv/{context.key}/.doctor", consistent="")
        took.append(time.monotonic() - started)
    median = statistics.median(took)
    text = f"{median * 1000:.1f}ms, the median of {_TRIPS} ({max(took) * 1000:.1f}ms at most)"
    if median > _SLOW:
        return warn(f"slow: {text}", "is the agent far away, or a server overloaded?")
    return ok(text)


def token(context: DoctorContext) -> Finding:
    """The token, as Consul knows it, does not expire soon.  The accessor is shown, never the
    secret."""
    answer = context.agent.ask("GET", "/v1/acl/token/self")
    if "ACL support disabled" in answer.text:
        return ok("ACLs are off")
    if not context.config.token:
        return warn("ACLs are on, and there is no token", "give one with --token-file")
    if answer.denied and "ACL not found" not in answer.text:
        return skip("Consul does not show the token")
    if answer.denied:
        raise _unknown_token()
    found = answer.json()
    named = [str(each.get("Name")) for each in (found.get("Policies") or ()) if each]
    policies = f"policies {', '.join(named)}" if named else "no policies of its own"
    about = f"accessor {found.get('AccessorID')}, {shown(policies, 120)}"
    left = _seconds_until(found.get("ExpirationTime"))
    if left is None:
        return ok(about)
    text = f"the token expires in {show_duration(left)} ({about})"
    if left >= SOON:
        return ok(text)
    return warn(
        text,
        "write another one to the file of --token-file before that: what runs reads it again",
    )


def _seconds_until(told: object) -> float | None:
    """Of a time as Consul writes it; None: never."""
    if not isinstance(told, str) or not told:
        return None
    return max(0.0, datetime.fromisoformat(told).timestamp() - time.time())


def _unknown_token() -> Trouble:
    return Trouble(
        'the token is unknown to the cluster ("ACL not found")',
        "it has expired, was deleted, or is of another cluster",
        ExitCode.PERMISSION,
    )


def node_health(context: DoctorContext) -> Finding:
    """The node counts as alive: --check serfHealth would end sessions otherwise."""
    if not context.node:
        return skip("the node's name is unknown")
    answer = context.agent.ask("GET", f"/v1/health/node/{context.node}")
    found: list[Any] = [] if answer.denied else answer.json() or []
    states = {each.get("CheckID"): each.get("Status") for each in found}
    bad = sorted(f"{check} is {state}" for check, state in states.items() if state == "critical")
    if bad:
        return warn(
            shown("; ".join(bad), 120), "locks that are bound to that check cannot be acquired"
        )
    if "serfHealth" not in states:
        return skip(f"serfHealth of {shown(context.node)} cannot be seen; locks do not need it")
    return ok(f"serfHealth of {shown(context.node)} is {states['serfHealth']}")
