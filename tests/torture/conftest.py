"""What these tests need: hosts with a network of their own."""

from __future__ import annotations

import pytest

from tests.support.promised import missing
from tests.torture.host import why_no_namespaces


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Network namespaces with TUN devices.  Without them, skipped on a desk and failed in CI."""
    reason = why_no_namespaces()
    if reason is not None:
        missing(reason)
