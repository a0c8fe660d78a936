"""Which version of consul-lock this is."""

from __future__ import annotations


def version() -> str:
    """Its number; "unknown" in a working copy that is not installed."""
    from importlib import metadata  # every start of the command would pay for it

    try:
        return metadata.version("consul-lock-toolkit")
    except metadata.PackageNotFoundError:
        return "unknown"
