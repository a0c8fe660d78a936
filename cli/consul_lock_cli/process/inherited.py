"""The environment that we were started with."""

from __future__ import annotations

import os
from pathlib import Path


def inherited() -> dict[str, str]:
    """Ours, without the LC_CTYPE that Python puts in where no locale is set, as under cron."""
    ours = dict(os.environ)
    try:
        before = b"\0" + Path("/proc/self/environ").read_bytes()
    except OSError:
        return ours
    if b"\0LC_CTYPE=" not in before:
        ours.pop("LC_CTYPE", None)
    return ours
