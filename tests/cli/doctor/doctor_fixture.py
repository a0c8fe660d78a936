"""`consul-lock doctor`: each check sees what it is there for, and nothing is left behind."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from consul_lock_cli.doctor.checks import CHECKS
from tests.cli.command import environment
from tests.cli.in_process import in_process
from tests.support.agent import Agent
from tests.support.proxy import Proxy

# The host of the tests may well have a clock that nobody keeps, and be no client agent.
_USUAL = {"clock", "client-agent", "open-files"}


class StatusFile(NamedTuple):
    """What the doctor found."""

    code: int
    items: dict[str, dict[str, Any]]
    stderr: str

    def bad(self) -> dict[str, str]:
        """The checks that failed or warned, but for those that do so on many a machine."""
        found = {name: item["verdict"] for name, item in self.items.items()}
        return {
            name: verdict
            for name, verdict in found.items()
            if verdict == "fail" or (verdict == "warn" and name not in _USUAL)
        }


def doctor(address: str | None, *options: str, **more: str) -> StatusFile:
    """Run it with --json."""
    # No settings of the user who runs the tests.
    env = environment(address, **{"XDG_CONFIG_HOME": "/no/such/folder", **more})
    result = in_process("doctor", "--json", "--long-poll", "200ms", *options, env=env)
    assert "Traceback" not in result.stderr
    said = json.loads(result.stdout)
    assert said["v"] == 1
    assert said["exit"] == result.returncode
    items = {item["check"]: item for item in said["items"]}
    assert list(items) == [check.name for check in CHECKS]
    return StatusFile(result.returncode, items, result.stderr)


def sessions_left(proxy: Proxy, agent: Agent) -> int:
    """How many of the sessions that were made through the proxy are still there.

    Others use the agent, too, and make and end sessions all the time.
    """
    made = [s for s in proxy.log if s.kind == "session/create" and s.status == 200]
    ended = {s.path.rpartition("/")[2] for s in proxy.log if s.kind == "session/destroy"}
    there = {session["ID"] for session in agent.sessions()}
    return len(made) - len(ended - there)
