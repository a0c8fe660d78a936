"""Three real servers and client agents, with the timing of production."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from tests.support.agent import Agent
from tests.support.waiting import eventually

# Consul's default. -dev and most test set-ups make elections five times as fast as users see.
_RAFT_MULTIPLIER = 5

_NAMES = ("server-1", "server-2", "server-3", "client-1")


class Cluster:
    """`servers` are three agents with their data on disk, `clients` are agents beside them.

    ``make`` makes an agent of a name, where agents are not to be on loopback.
    Use it as a context manager, or call `start` and `stop`.  Freeze, kill and ask the agents
    themselves; `restart` brings a killed one back on its old data.
    """

    def __init__(
        self,
        binary: Path,
        *,
        config: dict[str, Any] | None = None,
        names: Sequence[str] = _NAMES,
        raft_multiplier: int = _RAFT_MULTIPLIER,
        make: Callable[[str], Agent] | None = None,
    ) -> None:
        make = make or (lambda name: Agent(binary, name=name, dev=False))
        agents = [make(name) for name in names]
        self.servers = agents[:3]
        self.clients = agents[3:]
        seeds = [f"{agent.bind}:{agent.ports.serf}" for agent in self.servers]
        for agent in agents:
            agent.configure(_common(seeds, raft_multiplier))
            agent.configure(_server() if agent in self.servers else {})
            agent.configure(config or {})

    @property
    def agents(self) -> list[Agent]:
        return [*self.servers, *self.clients]

    @property
    def client(self) -> Agent:
        """The first of the client agents."""
        return self.clients[0]

    def start(self) -> Self:
        """Start them all and wait until each of them serves sessions."""
        for agent in self.agents:
            agent.launch()
        for agent in self.agents:
            agent.wait_ready()
        eventually(lambda: len(self._peers()) == 3, 120.0, message="all three servers vote")
        return self

    def leader(self, *, other_than: Agent | None = None, timeout: float = 120.0) -> Agent:
        """The server that leads, as most servers see it.  Waits for one, ``other_than`` the old."""

        def leads() -> Agent | None:
            agreed = self._agreed_leader()
            return None if agreed is other_than else agreed

        found = eventually(leads, timeout, message="the servers have a leader")
        assert found is not None
        return found

    def kill_leader(self) -> Agent:
        """End the leader as a crash would, and return it."""
        leader = self.leader()
        leader.kill()
        return leader

    def restart(self, server: Agent) -> None:
        """Start a killed agent again, on its ports and data, and wait until it serves."""
        server.start()

    def heal(self) -> None:
        """Thaw what is frozen, restart what is dead, wait until all of them serve again."""
        for agent in self.agents:
            if agent.running:
                agent.thaw()
            else:
                agent.launch()
        for agent in self.agents:
            agent.wait_ready()
        self.leader()

    def stop(self) -> None:
        """End all agents and remove their folders."""
        with ThreadPoolExecutor(len(self.agents)) as pool:
            list(pool.map(Agent.stop, self.agents))

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _agreed_leader(self) -> Agent | None:
        votes = [self._asked(server, "/v1/status/leader") for server in self.servers]
        for server in self.servers:
            if server.running and votes.count(f"{server.bind}:{server.ports.server}") >= 2:
                return server
        return None

    def _peers(self) -> list[str]:
        return list(self._asked(self.client, "/v1/status/peers") or [])

    def _asked(self, agent: Agent, path: str) -> Any:
        if not agent.running:
            return None
        try:
            # Answered from memory; a frozen agent never answers.
            answer = agent.request("GET", path, timeout=1.0)
        except OSError:
            return None
        return answer.json() if answer.status == 200 else None


def _common(seeds: list[str], raft_multiplier: int) -> dict[str, Any]:
    return {
        "retry_join": seeds,
        "retry_interval": "1s",
        "performance": {"raft_multiplier": raft_multiplier},
    }


def _server() -> dict[str, Any]:
    return {"server": True, "bootstrap_expect": 3}
