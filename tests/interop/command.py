"""The command `consul-lock`, run to its end."""

from __future__ import annotations

import subprocess

from tests.cli.command import COMMAND, PATIENCE, environment


def run_command(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A ``consul-lock run`` with these arguments."""
    return subprocess.run(
        [*COMMAND, "run", *arguments],
        env=environment(address),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
