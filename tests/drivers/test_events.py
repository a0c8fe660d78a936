"""Events in processes that fork, that drop their client, and that end."""

from __future__ import annotations

import json
import subprocess
import sys

from consul_lock.testing import World, serve
from tests.drivers import program_events
from tests.drivers.program_events import NAME

HUNG = 120.0


def _run(what: str) -> str:
    """What the program prints; it ends well, without a word on stderr."""
    with serve(World()) as served:
        command = [sys.executable, "-m", program_events.__name__, served.address, what]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=HUNG, check=True)
    assert "Traceback" not in ended.stderr
    return ended.stdout


def test_a_forked_child_hears_of_its_own_locks_alone() -> None:
    """By a thread of its own, which begins with its first event; the parent goes on."""
    seen = json.loads(_run("fork"))
    assert seen["child"] == {
        "heard": [f"{NAME}/child acquired", f"{NAME}/child released"],
        "threads": 1,
    }
    assert seen["parent"] == [f"{NAME}/parent acquired", f"{NAME}/parent released"]


def test_a_client_that_is_dropped_is_collected_and_its_thread_ends() -> None:
    """Also if its listener refers to it."""
    assert json.loads(_run("dropped")) == []


def test_a_listener_that_blocks_does_not_keep_a_program_alive() -> None:
    """It has a second, when the clients are closed at the end of the interpreter."""
    assert _run("end") == "over\n"
