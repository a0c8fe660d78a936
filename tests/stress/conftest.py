"""The stage of these tests: an agent of their own, and callers of both faces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scale.callers import Callers, Tasks, Threads
from tests.support.agent import Agent


@pytest.fixture(scope="module")
def ours(consul_binary: Path) -> Iterator[Agent]:
    """An agent that nobody else uses, so that every session on it is one of ours."""
    with Agent(consul_binary) as agent:
        yield agent


@pytest.fixture(params=["threads", "asyncio"])
def callers(request: pytest.FixtureRequest) -> Iterator[Callers]:
    """Callers with a thread each, then with a task each."""
    if request.param == "threads":
        yield Threads()
        return
    made = Tasks()
    yield made
    made.close()
