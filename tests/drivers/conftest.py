"""A Consul of its own for each test of the drivers: the model, on loopback HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consul_lock.testing import ServedWorld, serve
from tests.contract.operator import Operator
from tests.support.proxy import Proxy


@pytest.fixture
def served() -> Iterator[ServedWorld]:
    """The model."""
    with serve() as started:
        yield started


@pytest.fixture
def operator(served: ServedWorld) -> Operator:
    """What is in it."""
    return Operator(served.address)


@pytest.fixture
def proxy(served: ServedWorld) -> Iterator[Proxy]:
    """A counting proxy before it."""
    with Proxy(served.address) as started:
        yield started
