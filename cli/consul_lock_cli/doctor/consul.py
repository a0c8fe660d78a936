"""Checks of Consul itself: the agent, the leader, the token, the node's health."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.doctor.certificate import SOON
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, Trouble, ok, skip, warn
from consul_lock_cli.doctor.http import AgentAnswer

_TESTED = {
    (1, 8, 7): "tested by each run of the tests",
    (1, 15, 4): "some rules compared by hand on 29 November 2026",
    (1, 18, 2): "some rules compared by hand on 29 November 2026",
    (1, 21, 4): "tested by hand on 30 November 2026",
}
"""What was tried with which release of Consul: see docs/support.md."""

_OLDEST, _NEWEST = (".".join(map(str, end(_TESTED))) for end in (min, max))

_WORKS_SINCE = (1, 8)

# Not tested: the names of keys that it refuses are known from its sources.
_NAMES_SINCE = (1, 21, 5)

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
    config = _config(answer)
    version, node = str(config.get("Version", "")), str(config.get("NodeName", ""))
    found = re.match(r"(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?", version)
    if not found:
        raise Trouble(
            f'this is not a Consul agent: it answers "{shown(answer.text)}"',
            "is there another program, or a proxy, at this address?",
            ExitCode.CONFIG,
        )
    context.node = node
    release = (int(found[1]), int(found[2]), int(found[3] or 0))
    if release < _WORKS_SINCE:
        return warn(
            f"Consul {shown(version)} is older than the oldest tested version ({_OLDEST})",
            "use 1.8 or later",
        )
    where = f"node {shown(node)}, datacenter {shown(str(config.get('Datacenter')))}"
    # Nothing is known to be wrong with one that was not tested, so it is no warning.
    what = "Enterprise was not tested" if "+ent" in version else tested(release)
    return ok(f"Consul {shown(version)}, {what}, {where}")


def tested(release: tuple[int, int, int]) -> str:
    """What was tried with a release of Consul, or between which others it is."""
    if release in _TESTED:
        return _TESTED[release]
    if release < min(_TESTED):
        return f"older than the oldest tested version ({_OLDEST})"
    if release < max(_TESTED):
        return f"between the tested versions {_OLDEST} and {_NEWEST}"
    names = "; some names of keys are refused" if release >= _NAMES_SINCE else ""
    return f"newer than the newest tested version ({_NEWEST}){names}"


def _config(answer: AgentAnswer) -> Mapping[str, Any]:
    """Of what an agent says of itself."""
    return answer.read(lambda known: dict(known["Config"] or {}))


def client_agent(context: DoctorContext) -> Finding:
    """It is no server: Consul drops all sessions of a server that leaves."""
    answer = context.agent.ask("GET", "/v1/agent/self")
    if answer.denied:
        return skip("the token may not ask")
    if not _config(answer).get("Server"):
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
    return ok(f"the leader is {shown(str(found))}")


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
    about, left = answer.read(_of_token)
    if left is None:
        return ok(about)
    text = f"the token expires in {show_duration(left)} ({about})"
    if left >= SOON:
        return ok(text)
    return warn(
        text,
        "write another one to the file of --token-file before that: what runs reads it again",
    )


def _of_token(found: dict[str, Any]) -> tuple[str, float | None]:
    """What it is, and for how many seconds more; None: for ever."""
    named = [str(each.get("Name")) for each in (found.get("Policies") or ()) if each]
    policies = f"policies {', '.join(named)}" if named else "no policies of its own"
    about = f"accessor {shown(str(found.get('AccessorID')))}, {shown(policies, 120)}"
    return about, _seconds_until(found.get("ExpirationTime"))


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
    states = {} if answer.denied else answer.read(_states)
    bad = sorted(f"{check} is {state}" for check, state in states.items() if state == "critical")
    if bad:
        return warn(
            shown("; ".join(bad), 120), "locks that are bound to that check cannot be acquired"
        )
    if "serfHealth" not in states:
        return skip(f"serfHealth of {shown(context.node)} cannot be seen; locks do not need it")
    return ok(f"serfHealth of {shown(context.node)} is {shown(states['serfHealth'])}")


def _states(found: list[dict[str, Any]] | None) -> dict[str, str]:
    """Of the checks of a node, by their names."""
    return {str(each.get("CheckID")): str(each.get("Status")) for each in found or ()}
