"""The stage of these tests: an agent of their own, and callers of both faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agent import Agent


@pytest.fixture(scope="module")
def own_agent(consul_binary: Path) -> Iterator[Agent]:
    """An agent that nobody else uses, so that every session on it belongs to the test."""
    with Agent(consul_binary) as agent:
        yield agent
