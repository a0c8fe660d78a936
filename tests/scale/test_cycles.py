"""A long-lived process keeps nothing of what it has acquired and released."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.scale import cycles
from tests.scale.growth import grown
from tests.support.agent import Agent
from tests.support.effort import EFFORT

WINDOW = 200

CYCLES = 10 * WINDOW if EFFORT <= 1 else 100 * cycles.WINDOW
"""A million with much effort, which takes an hour."""


def _run(address: str, *options: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-W", "error", "-m", cycles.__name__, address, *options]
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_cycles_of_all_primitives_in_both_apis_let_nothing_grow(agent: Agent) -> None:
    """Memory, what the library has allocated, sockets, descriptors, threads, tasks, sessions and
    keys; and no word of what is not closed."""
    window = WINDOW if EFFORT <= 1 else cycles.WINDOW
    trace = 0 if EFFORT <= 1 else 25  # in a short window too much is new
    *said, end = _run(
        agent.address, str(CYCLES), "--window", str(window), "--trace-each", str(trace)
    )
    assert [each["cycles"] for each in said] == list(range(window, CYCLES + 1, window))
    assert grown([each["has"] for each in said]) == {}
    traced = [{"traced": each["traced"]} for each in said if "traced" in each]
    assert not traced or grown(traced, warm_up=1) == {}
    assert end["left"]["keys"] == 0


def test_what_is_kept_of_each_cycle_is_seen(agent: Agent) -> None:
    """The same, with a leak as large as a hold: else nothing would be proved."""
    *said, _ = _run(agent.address, "800", "--window", "100", "--trace-each", "0", "--leak")
    assert "blocks" in grown([each["has"] for each in said])


def test_what_goes_up_and_down_has_not_grown() -> None:
    """And what only goes up has, however slowly: a socket now and then, or a little memory."""
    up_and_down = [{"sockets": 4 + n % 3, "rss": n % 5 << 20} for n in range(40)]
    assert grown(up_and_down) == {}
    assert set(grown([{"sockets": 4 + n // 10, "rss": 0} for n in range(40)])) == {"sockets"}
    assert set(grown([{"sockets": 4, "rss": n << 17} for n in range(40)])) == {"rss"}
