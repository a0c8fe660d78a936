"""How long a lock stays with a holder that has crashed: consul-lock, and HashiCorp's `consul lock`.

python benchmarks/takeover.py [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import rounds
from real import real_agent

from tests.interop.go_command import Peer
from tests.stress.takeover import PATIENCE, takeover
from tests.support.agent import Agent
from tests.support.waiting import eventually

QUICK, LOCK, GO = "consul_lock.Lock, heartbeat=1, lock_delay=2", "consul_lock.Lock", "consul lock"
AIM = 4.0

Turn = Callable[[], float]


def of_library(agent: Agent, name: str, options: dict[str, Any]) -> Turn:
    return lambda: takeover(agent, "lock", name, options)


def go(agent: Agent, name: str) -> Turn:
    """`consul lock NAME child` is killed with SIGKILL; another one waits."""

    def turn() -> float:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as peers:

            def start(who: str) -> Peer:
                return peers.enter_context(closing(Peer(agent, Path(folder) / who, name)))

            first = start("holder")
            first.holds()
            second = start("waiter")
            second.waits()
            killed = time.monotonic()
            first.process.kill()
            eventually(lambda: second.started, PATIENCE, message="the other one has it")
            seconds = time.monotonic() - killed
            first.finish()  # its child, to whom nobody has said anything
            second.finish()
            return seconds

    return turn


def measure(turns: dict[str, Turn], count: int) -> rounds.Figures:
    """All of a round at the same time: they wait, and take nothing from each other."""
    figures: rounds.Figures = {name: [] for name in turns}
    with ThreadPoolExecutor(len(turns)) as threads:
        for number in range(1, count + 1):
            futures = {name: threads.submit(turn) for name, turn in turns.items()}
            for name, future in futures.items():
                figures[name].append(future.result())
            said = ", ".join(f"{name}: {figure[-1]:.1f} s" for name, figure in figures.items())
            print(f"round {number}: {said}", flush=True)
    return figures


def row(name: str, figures: rounds.Figures) -> tuple[str, ...]:
    mine = figures[name]
    points = [f"{figure:.1f}" for figure in (min(mine), statistics.median(mine), max(mine))]
    return (name, *points, f"{rounds.ratio(figures, name, GO):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a holder, and wait for the next.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    given = parser.parse_args()
    with real_agent() as agent:
        turns = {
            QUICK: of_library(agent, "bench/quick", {"heartbeat": 1.0, "lock_delay": 2.0}),
            LOCK: of_library(agent, "bench/defaults", {}),
            GO: go(agent, "bench/go"),
        }
        figures = measure(turns, given.rounds)
    print(f"from SIGKILL to the next acquire, seconds, {given.rounds} rounds")
    rounds.print_table(
        ("", "least", "median", "most", "of consul lock"), [row(name, figures) for name in figures]
    )
    most = max(figures[QUICK])
    print(f"the slowest takeover with a heartbeat: {most:.1f} s (aim: {AIM:g})")
    rounds.write(given.json, {"benchmark": "takeover", "figures": figures})


if __name__ == "__main__":
    main()
