"""Where the real Consul is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]

BINARY = pytest.StashKey[Path | None]()
"""The consul of this run, in the stash of pytest's configuration."""

NONE = "no real consul: scripts/get-consul fetches one, or set CONSUL_BIN"


def find_consul() -> Path | None:
    """CONSUL_BIN, the PATH or the cache; looks only."""
    command = [str(_ROOT / "scripts" / "get-consul"), "--check"]
    looked = subprocess.run(command, capture_output=True, text=True, check=False)
    return Path(looked.stdout.strip()) if looked.returncode == 0 else None
