"""The way to the real agent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake.lines import HttpLine
from tests.stage.agent import Agent


@pytest.fixture
def agent_line(agent: Agent) -> Iterator[HttpLine]:
    """A connection to the real agent.  Scripts empty it before they begin."""
    line = HttpLine(agent.address)
    yield line
    line.close()
