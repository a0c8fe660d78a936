"""The end of a process in the middle of something: it hangs never, says nothing, leaves nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from consul_lock.testing import ServedWorld
from tests.contract.operator import Operator
from tests.drivers import program_exit

# What each of them has to say.
SAID = {
    "daemons": "",
    "thread": "held=True\n",
    "at_exit": "held=True\nclosed\n",
    "finalizer": "",
    "pool": "".join(f"{number}\n" for number in range(12)),
    "program": "0\n",
    "loop": "",
    "uvloop": "",
    "child": "held=True locked=True\n",
}


@pytest.mark.parametrize("way", program_exit.WAYS)
def test_a_process_that_ends_releases_what_it_holds_and_says_nothing(
    served: ServedWorld, operator: Operator, way: str
) -> None:
    """With daemon threads, threads, functions for the end, pools, loops, children."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", program_exit.__name__, way, served.address],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=120,
        check=False,
    )
    assert (run.stderr, run.returncode) == ("", 0)
    assert sorted(run.stdout.split()) == sorted(SAID[way].split())
    assert operator.keys(program_exit.NAME) == {}
    assert operator.sessions() == set()
