"""The way to the real agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.agent import Agent
from tests.testing_world.servers import HttpLine


@pytest.fixture
def agent_line(agent: Agent) -> Iterator[HttpLine]:
    """A connection to the real agent.  Scripts empty it before they begin."""
    line = HttpLine(agent.address, agent.consul)
    yield line
    line.close()
