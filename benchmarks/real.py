"""The real Consul that the benchmarks run against: the tests', without the limit of connections."""

from __future__ import annotations

from tests.support.agent import Agent
from tests.support.binary import NONE, find_consul


def real_agent() -> Agent:
    """One agent in memory; ends the program if there is no consul."""
    binary = find_consul()
    if binary is None:
        raise SystemExit(NONE)
    # The rounds open a connection a contender, all from one address.
    return Agent(
        binary, config={"log_level": "WARN", "limits": {"http_max_conns_per_client": 2000}}
    )
