"""What the tests of the doctor share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.actions import PASS, Action, kind_of
from tests.support.agent import Agent
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy


@pytest.fixture(scope="package")
def agent(consul_binary: Path) -> Iterator[Agent]:
    """An agent without the checks of others, which the doctor would find critical."""
    with Agent(consul_binary) as started:
        yield started


@pytest.fixture
def altered(address: str) -> Iterator[Callable[[str, Answer], str]]:
    """``altered(kind, answer)``: the address of an agent that gives ``answer`` to that kind."""
    with ExitStack() as stack:

        def start(kind: str, answer: Answer) -> str:
            def rule(method: str, path: str, body: bytes, n: int) -> Action:
                return answer if kind_of(path) == kind else PASS

            return stack.enter_context(Proxy(address, rule)).address

        yield start
