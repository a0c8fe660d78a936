"""What events cost: the processor time of acquiring and releasing a lock that nobody else wants.

python benchmarks/events.py [--before DIR] [--rounds N] [--pairs N] [--json FILE]

``--before`` is another checkout of the project, such as one without a change, to compare with.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import rounds
from real import real_agent

ROOT = Path(__file__).resolve().parents[1]

BEFORE, SILENT, LISTENING, LOGGED = (
    "before",
    "nobody listens",
    "one listener",
    "a log at INFO, which drops it",
)
AIMS = {SILENT: 1.02}


def work(address: str, kind: str) -> None:
    """A process of its own: for each line on stdin, so many pairs; the microseconds of one."""
    import logging

    from consul_lock import Client, Lock

    seen = 0

    def listen(event: object) -> None:
        nonlocal seen
        seen += 1

    if kind == LOGGED:
        logging.getLogger("consul_lock").setLevel(logging.INFO)
        logging.getLogger("consul_lock").addHandler(logging.NullHandler())
        logging.getLogger("consul_lock").propagate = False
    options = {"on_event": listen} if kind == LISTENING else {}
    with Client(address, **options) as client:  # type: ignore[arg-type] # an older one has none
        lock = Lock(f"bench/{os.getpid()}", client=client)
        for line in sys.stdin:
            pairs = int(line)
            begun = time.process_time()
            for _ in range(pairs):
                lock.acquire()
                lock.release()
            used = time.process_time() - begun
            print(used / pairs * 1e6, flush=True)


def worker(
    stack: ExitStack, root: Path, address: str, kind: str, pairs: int
) -> Callable[[], float]:
    """A turn of a process with the library of this checkout."""
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, __file__, "--work", address, kind],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(ROOT)])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    assert process.stdin is not None
    assert process.stdout is not None
    asked, answers = process.stdin, process.stdout
    stack.callback(asked.close)

    def turn() -> float:
        asked.write(f"{pairs}\n")
        asked.flush()
        return float(answers.readline())

    return turn


def main() -> None:
    parser = rounds.options("The processor time that events cost.")
    parser.add_argument("--before", type=Path, metavar="DIR", help="another checkout")
    parser.add_argument("--pairs", type=int, default=200, help="a turn (default: %(default)s)")
    given = parser.parse_args()
    with real_agent() as agent, ExitStack() as stack:
        kinds = [(SILENT, ROOT), (LISTENING, ROOT), (LOGGED, ROOT)]
        if given.before is not None:
            kinds.insert(0, (BEFORE, given.before.resolve()))
        figures = rounds.interleave(
            {kind: worker(stack, root, agent.address, kind, given.pairs) for kind, root in kinds},
            given.rounds,
        )
    base = next(iter(figures))
    print(f"acquire and release, microseconds of processor time, {given.rounds} rounds")
    rounds.print_table(
        ("", "median", "min", "max", f"of {base}"),
        [
            (
                name,
                *(f"{figure(values):.1f}" for figure in (statistics.median, min, max)),
                f"{rounds.ratio(figures, name, base):.3f}",
            )
            for name, values in figures.items()
        ],
    )
    if given.before is not None:
        rounds.print_ratios(
            {
                f"{name} / {BEFORE}": (rounds.ratio(figures, name, BEFORE), f"at most {aim:g}")
                for name, aim in AIMS.items()
            }
        )
    rounds.write(
        given.json,
        {"benchmark": "events", "unit": "microseconds of processor time", "figures": figures},
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main()
