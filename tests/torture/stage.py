"""Three real servers and two client agents, each on a host of its own.

Where root and /dev/net/tun are there, a host has a network of its own, which can be cut, delayed
and made to lose packets (`tests.torture.network`).  Elsewhere all are on the loopback of the test,
and what that makes impossible is in `Stage.missing`.

Workers run on the hosts of the client agents.  Those on ``client-1`` talk to their agent directly,
those on ``client-2`` through a proxy, which can answer for the agent or keep what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.support.agent import Agent
from tests.support.cluster import Cluster
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.torture.host import Host, why_no_namespaces
from tests.torture.network import Network

SERVERS = ("server-1", "server-2", "server-3")
CLIENTS = ("client-1", "client-2")
PROXIED = "client-2"

# Of a server's disk: far more than it needs for its log, little enough to be filled.
_DISK_MB = 256


# Seconds for several elections, on a machine that has little time for them: ends what has failed.
_READY_WITHIN = 600.0

_STARTS = 5


class StageAgent(Agent):
    """An agent on a host."""

    def __init__(self, binary: Path, host: Host) -> None:
        super().__init__(binary, name=host.name, bind=host.address, dev=False)
        self.host = host

    @property
    def data(self) -> Path:
        """The folder of its data, as the processes of its host see it."""
        return self.folder / "data"

    def launch(self) -> None:
        self.host.do(super().launch)

    def wait_ready(self, timeout: float = _READY_WITHIN) -> bool:
        return super().wait_ready(timeout)

    def request(self, *arguments: Any, **options: Any) -> Answer:
        with self.host.inside():
            return super().request(*arguments, **options)


class Stage:
    """Use it as a context manager.

    ``raft_multiplier`` 1 makes elections as fast as they can be, 5 is Consul's default.
    `network` is None where hosts have no network of their own.
    """

    def __init__(
        self,
        binary: Path,
        *,
        raft_multiplier: int = 1,
        config: Mapping[str, Any] | None = None,
        namespaces: bool = True,
    ) -> None:
        names = (*SERVERS, *CLIENTS)
        self.missing = why_no_namespaces() if namespaces else "hosts share the loopback"
        """Why there is no `network`; None if there is one."""
        self.network = Network(names) if self.missing is None else None
        made: list[Host] = [*self.network.hosts] if self.network else [Host(n) for n in names]
        self.hosts = {host.name: host for host in made}
        self._agents = {name: StageAgent(binary, host) for name, host in self.hosts.items()}
        self.cluster = Cluster(
            binary,
            config=dict(config or {}),
            names=names,
            raft_multiplier=raft_multiplier,
            make=self._agents.__getitem__,
        )
        self._proxy: Proxy | None = None

    # What is on it.

    @property
    def proxy(self) -> Proxy:
        """What stands between the workers of ``client-2`` and their agent."""
        assert self._proxy is not None, "the stage was never started"
        return self._proxy

    def agent(self, name: str) -> StageAgent:
        """The agent on this host."""
        return self._agents[name]

    def leader(self) -> StageAgent:
        """The server that leads."""
        return self._agents[self.cluster.leader().name]

    def follower(self) -> StageAgent:
        """A server that does not."""
        leader = self.cluster.leader()
        return next(self._agents[name] for name in SERVERS if name != leader.name)

    def address(self, host: str) -> str:
        """CONSUL_HTTP_ADDR of the workers on this client host."""
        return self.proxy.address if host == PROXIED else self._agents[host].address

    # Its life.

    def start(self) -> Self:
        """Start all agents and wait until they serve."""
        if self.network is not None:
            for name in SERVERS:
                agent = self._agents[name]
                agent.data.mkdir()
                agent.host.mount_disk(agent.data, _DISK_MB)
        self.cluster.start()
        behind = self._agents[PROXIED]
        with behind.host.inside():
            self._proxy = Proxy(behind.address)
        return self

    def heal(self) -> None:
        """Undo all faults of the network and of processes, and wait until every agent serves."""
        if self.network is not None:
            self.network.heal()
        self.proxy.rule = None
        self.proxy.release()
        for agent in self.cluster.agents:
            self._bring_back(agent)
        for agent in self.cluster.agents:
            # A server whose disk was full may give up when it has been started, and is started
            # again, as systemd would.
            for _ in range(_STARTS):
                if agent.wait_ready():
                    break
                self._bring_back(agent)
            assert agent.running, f"{agent.name} ends each time:\n{agent.log[-4000:]}"
        self.cluster.leader(timeout=_READY_WITHIN)

    def _bring_back(self, agent: Agent) -> None:
        if agent.running:
            agent.thaw()
        else:
            agent.launch()

    def stop(self) -> None:
        """End everything.  Workers have ended."""
        if self._proxy is not None:
            self._proxy.stop()
        self.cluster.stop()
        if self.network is not None:
            self.network.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *exc: object) -> None:
        self.stop()
