"""The stage of these tests: three real servers and a client agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster


@pytest.fixture(scope="module")
def cluster(consul_binary: Path) -> Iterator[Cluster]:
    """A cluster for all tests of a module.  A test that breaks it ends with ``cluster.heal()``."""
    with Cluster(consul_binary) as started:
        yield started
