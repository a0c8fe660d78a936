"""Fixtures of the faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.apis import Face, open_face


@pytest.fixture(params=["threads", "asyncio"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Each face in its turn."""
    with open_face(request.param) as opened:
        yield opened
