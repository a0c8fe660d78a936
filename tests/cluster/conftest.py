"""The stage of these tests: three real servers and a client agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster


@pytest.fixture(scope="module")
def cluster(consul_binary: Path) -> Iterator[Cluster]:
    """A cluster for all tests of a module.  Who breaks it calls ``cluster.heal()`` at the end."""
    with Cluster(consul_binary) as started:
        yield started
