"""What a test needs and a machine may lack: a run with CI=true promises to have it."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def promised() -> bool:
    """Whether this run promises to have everything."""
    return os.environ.get("CI") == "true"


def missing(reason: str) -> NoReturn:
    """End the test: it is skipped on a desk, and fails where the run promises what is missing."""
    if promised():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
