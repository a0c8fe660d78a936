"""`doctor`: processes of this host."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import PATIENCE


@pytest.mark.parametrize(
    "check, missing",
    [("processes", "libc.die_with_parent = lambda signum: None"),
     ("guardian", "ProcessPolicy = lambda kill_after: unguarded")],
)  # fmt: skip
def test_a_host_that_does_not_end_children_is_seen(check: str, missing: str) -> None:
    """As some sandboxes do: here PR_SET_PDEATHSIG is never asked for, or there is no guardian."""
    program = (
        "import signal, sys, consul_lock_cli.doctor.processes as processes\n"
        "from consul_lock_cli.spec.process import ProcessPolicy\n"
        "unguarded = ProcessPolicy(guardian=False, stop_signal=signal.SIGCONT)\n"
        f"processes.{missing}\n"
        "processes._DEATH = 0.3\n"
        f"sys.exit({{'ok': 0, 'warn': 9}}[processes.{check}(None).verdict])"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert (result.returncode, result.stderr) == (9, b"")
