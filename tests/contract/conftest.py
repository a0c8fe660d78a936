"""The contract of a lock: every test runs over faces, servers and kinds of locks."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from consul_lock.testing import World, serve
from tests.contract.fixture import Room
from tests.contract.lock_kinds import KINDS, Kind
from tests.contract.operator import Operator
from tests.support.agent import modelled, version_of
from tests.support.apis import Asyncio, Face, Threads
from tests.support.binary import BINARY
from tests.support.effort import EFFORT

# Of the tests that meet the model: the part of each face.
_PARTS = {Threads: 0.5, Asyncio: 0.25}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where there is a real agent, all tests meet that.  Of those that meet the model each run has
    a part, another one each time, which its SIMULATION_SEED repeats."""
    if config.stash[BINARY] is None:
        return
    left_out = [item for item in items if not _chosen(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def _chosen(item: pytest.Item) -> bool:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    part = _PARTS.get(parameters.get("face"))
    if part is None or parameters.get("operator") != "world":
        return True
    seed = os.environ["SIMULATION_SEED"]
    return random.Random(f"{seed} {item.nodeid}").random() < EFFORT * part


@pytest.fixture(scope="session", params=[Threads, Asyncio], ids=["threads", "asyncio"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Each of the two faces in turn."""
    made: Face = request.param()
    yield made
    made.close()


@pytest.fixture(scope="session")
def world_operator(pytestconfig: pytest.Config) -> Iterator[Operator]:
    """The model of Consul that comes with the library, on loopback HTTP.

    It has the rules of the releases that the real agent is not of, so that each test meets both.
    """
    binary = pytestconfig.stash[BINARY]
    real = None if binary is None else modelled(version_of(binary))
    with serve(World(consul="1.8" if real == "1.21" else "1.21")) as served:
        yield Operator(served.address)


@pytest.fixture(
    scope="session",
    params=["world", pytest.param("agent", marks=pytest.mark.real)],
)
def operator(request: pytest.FixtureRequest) -> Operator:
    """Each server in turn: the model, and a real agent."""
    if request.param == "world":
        found: Operator = request.getfixturevalue("world_operator")
        return found
    agent: Any = request.getfixturevalue("agent")
    return Operator(agent.address)


@pytest.fixture(params=[KINDS[0]], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The plain lock; the mark `each_kind` gives every kind in turn."""
    found: Kind = request.param
    return found


@pytest.fixture
def room(face: Face, operator: Operator, kind: Kind) -> Iterator[Room]:
    """Where a test makes its clients and locks; it must be left as it was found."""
    made = Room(face, operator, kind, f"contract/{uuid.uuid4().hex[:12]}")
    yield made
    made.close()
