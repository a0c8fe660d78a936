"""The stage of these tests: one agent with Consul's own limits, and crowds of callers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scale.counter import Requests
from tests.support.agent import Agent
from tests.support.callers import Threads
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def quiet(consul_binary: Path) -> Iterator[Agent]:
    """An agent with the default limits that writes nothing into Raft by itself."""
    with Agent(consul_binary, config={"disable_coordinates": True}) as agent:
        eventually(
            lambda: _registered(agent), message="the agent has registered itself in the catalog"
        )
        yield agent


def _registered(agent: Agent) -> bool:
    """Whether the last thing is written that an agent writes when it starts: its addresses."""
    found = agent.request("GET", f"/v1/catalog/node/{agent.name}").json()
    return bool(found and found["Node"]["TaggedAddresses"])


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    """Counts all requests of this process from here on."""
    return Requests(monkeypatch)


@pytest.fixture
def threads() -> Threads:
    """Callers with a thread each."""
    return Threads()
