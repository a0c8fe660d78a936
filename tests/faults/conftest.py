"""Fixtures of the faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agent import Agent
from tests.support.proxy import Proxy


@pytest.fixture
def proxy(agent: Agent) -> Iterator[Proxy]:
    """A proxy before the agent."""
    with Proxy(agent.address) as started:
        yield started


@pytest.fixture
def server(consul_binary: Path) -> Iterator[Agent]:
    """An agent that goes on while the one beside the callers does not."""
    with Agent(consul_binary, name="server") as started:
        yield started


@pytest.fixture
def local(consul_binary: Path, server: Agent) -> Iterator[Agent]:
    """The agent beside the callers, a client of that server."""
    join = {"retry_join": [f"127.0.0.1:{server.ports.serf}"], "retry_interval": "1s"}
    with Agent(consul_binary, name="local", dev=False, config=join) as started:
        yield started
