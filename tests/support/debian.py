"""Programs of Debian that a test needs, and that no user of consul-lock does."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.promised import missing

_FETCH = Path(__file__).parents[2] / "scripts" / "get-debian"


def debian_file(package: str, file: str) -> Path:
    """Where a file of a package is: installed, or fetched; ends the test where neither can be."""
    fetched = subprocess.run([_FETCH, package, file], capture_output=True, text=True, check=False)
    if fetched.returncode:
        missing(f"there is no {package} of Debian: {fetched.stderr}")
    return Path(fetched.stdout.strip())
