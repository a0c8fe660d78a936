"""A program: `consul-lock` on a host whose clock is stepped when a file says so.

`python program_stepped_clock.py FILE ARGUMENTS...`: Python's calendar clock is wrong by the seconds
in FILE, for consul-lock alone and not for what it starts.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "support" / "stepped_clock"


def main(file: str, *arguments: str) -> None:
    """Step the clock for everything that is imported from now on."""
    sys.path.append(str(_FOLDER))
    importlib.import_module("clock_step").step(Path(file))
    from consul_lock_cli.main import main as run

    run(list(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
