"""Which version it is: of an installed package, and of a copy that is none."""

from __future__ import annotations

from importlib import metadata

import pytest

from consul_lock_cli.base.version import version


def test_it_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where there is no package, that is no error."""
    assert version() == metadata.version("consul-lock-toolkit")

    def none(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", none)
    assert version() == "unknown"
