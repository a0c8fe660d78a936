"""What these tests need: hosts with a network of their own."""

from __future__ import annotations

import os

import pytest

from tests.torture.host import why_no_namespaces


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Network namespaces with TUN devices.  Without them, skipped on a desk and failed in CI."""
    reason = why_no_namespaces()
    if reason is not None and os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    if reason is not None:
        pytest.skip(reason)
