"""`consul_lock.aio` has the names of `consul_lock`: only what is awaited is its own."""

from __future__ import annotations

import pytest

import consul_lock
from consul_lock import aio


@pytest.mark.parametrize("name", consul_lock.__all__)
def test_a_name_is_of_asyncio_or_the_same_as_for_threads(name: str) -> None:
    """Never of the API for threads, whose calls would block the loop."""
    for_threads, for_asyncio = getattr(consul_lock, name), getattr(aio, name)
    home = getattr(for_threads, "__module__", "")
    if home.startswith("consul_lock._blocking."):
        assert for_asyncio.__module__ == home.replace("_blocking", "_async")
        assert for_asyncio.__name__ == name
    else:
        assert for_asyncio is for_threads


def test_both_have_the_same_names() -> None:
    """So that one import is changed for the other, and nothing else."""
    assert aio.__all__ == consul_lock.__all__
