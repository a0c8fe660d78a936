"""The way to the real agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake.lines import HttpLine


@pytest.fixture
def agent_line(agent: Any) -> Iterator[HttpLine]:
    """A connection to the real agent.  Scripts empty it before they begin."""
    line = HttpLine(agent.address)
    yield line
    line.close()
