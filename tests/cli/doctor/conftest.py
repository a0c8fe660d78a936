"""What the tests of the doctor share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.actions import PASS, Action, kind_of
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy


@pytest.fixture
def altered(address: str) -> Iterator[Callable[[str, Answer], str]]:
    """``altered(kind, answer)``: the address of an agent that gives ``answer`` to that kind."""
    with ExitStack() as stack:

        def start(kind: str, answer: Answer) -> str:
            def rule(method: str, path: str, body: bytes, n: int) -> Action:
                return answer if kind_of(path) == kind else PASS

            return stack.enter_context(Proxy(address, rule)).address

        yield start
