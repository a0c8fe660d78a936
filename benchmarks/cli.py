"""What `consul-lock run` costs: time to start, processes and memory while the command runs.

python benchmarks/cli.py [--rounds N] [--json FILE] [--imports]
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import rounds
from real import real_agent

from tests.cli.command import Running, environment
from tests.cli.process_tree import Helper, helpers_of, text_of
from tests.support.waiting import eventually

COMMAND, IMPORTS, PYTHON = "consul-lock run -- true", "import click, consul.base", "python -c pass"
LIBRARY = 'from consul_lock import Client, Lock; Lock("x", client=Client())'
ASYNCIO = LIBRARY.replace("consul_lock", "consul_lock.aio")
AIM = 2.0
MAX_HELPERS, MAX_MEMORY = 2, 40.0

Times = dict[str, tuple[int, int]]

# The installed command, as a crontab has it.
_COMMAND = str(Path(sys.executable).with_name("consul-lock"))


def timed(command: list[str], env: dict[str, str]) -> Callable[[], float]:
    """Milliseconds from the start of a process to its end."""

    def turn() -> float:
        started = time.perf_counter()
        subprocess.run(command, env=env, stdin=subprocess.DEVNULL, check=True)
        return (time.perf_counter() - started) * 1000

    return turn


def helpers(env: dict[str, str]) -> list[tuple[str, Helper]]:
    """Who is there, by name, while a command runs, beside it."""
    mark = uuid4().hex
    with tempfile.TemporaryDirectory() as folder:
        pid_file = Path(folder, "pid")
        script = f"echo $$ >{pid_file}; exec sleep 60"
        marked = {**env, "CONSUL_LOCK_BENCH": mark}
        with Running(["run", "--key", "bench/helpers", "--", "sh", "-c", script], marked):
            pid = int(eventually(lambda: text_of(pid_file).strip()))
            found = eventually(lambda: _complete(helpers_of(mark, pid)))
            return [(_name(helper.pid), helper) for helper in found]


def _complete(found: list[Helper]) -> list[Helper] | None:
    """All of them, once the guardian has become what it is."""
    names = [_name(helper.pid) for helper in found]
    return found if "lock-guardian" in names else None


def _name(pid: int) -> str:
    return text_of(Path(f"/proc/{pid}/comm")).strip()


def imported(command: list[str], env: dict[str, str]) -> Times:
    """Microseconds (its own, with what it imports) of each module, by ``-X importtime``."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.findall(r"import time: +(\d+) \| +(\d+) \| +(\S+)", result.stderr)
    return {name: (int(own), int(total)) for own, total, name in found}


def print_imports(env: dict[str, str]) -> None:
    """What the command imports and the measure does not, dearest first."""
    command = imported([_COMMAND, "run", "--key", "bench/imports", "--", "true"], env)
    floor = imported(["-c", IMPORTS], env)
    more = {name: cost for name, cost in command.items() if name not in floor}
    own = sum(cost for cost, _ in more.values()) / 1000
    less = sum(cost for name, (cost, _) in floor.items() if name not in command) / 1000
    print(f"imported beyond `{IMPORTS}`: {len(more)} modules, {own:.1f} ms; not: {less:.1f} ms")
    rows = sorted(more.items(), key=lambda item: -item[1][0])[:25]
    rounds.print_table(
        ("module", "own ms", "in all"),
        [(name, f"{cost / 1000:.2f}", f"{total / 1000:.2f}") for name, (cost, total) in rows],
    )


def print_memory(beside: list[tuple[str, Helper]]) -> None:
    """Of each process, and whether all of them together keep to the bounds."""
    rows = [(name, helper.resident, helper.proportional) for name, helper in beside]
    resident, proportional = (sum(row[column] for row in rows) for column in (1, 2))
    print("beside the command while it runs, MB")
    rounds.print_table(
        ("", "resident", "shared pages in parts"),
        [
            (name, *(f"{size:.1f}" for size in sizes))
            for name, *sizes in [*rows, ("in all", resident, proportional)]
        ],
    )
    for what, value, most in (
        ("processes", len(beside), MAX_HELPERS),
        ("MB in all, shared pages in parts", proportional, MAX_MEMORY),
    ):
        met = "met" if value <= most else "NOT met"
        print(f"{value:.3g} {what} (aim: at most {most:g}): {met}")


def main() -> None:
    parser = rounds.options("The costs of the shell wrapper.")
    parser.add_argument("--imports", action="store_true", help="say what the imports cost")
    given = parser.parse_args()
    with real_agent() as agent, tempfile.TemporaryDirectory() as compiled:
        # As installed: with compiled modules, which the first, unmeasured round leaves there.
        env = environment(agent.address, PYTHONPYCACHEPREFIX=compiled)
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        run = [_COMMAND, "run", "--key", "bench/start", "--", "true"]
        turns = {
            COMMAND: timed(run, env),
            LIBRARY: timed([sys.executable, "-c", LIBRARY], env),
            ASYNCIO: timed([sys.executable, "-c", ASYNCIO], env),
            IMPORTS: timed([sys.executable, "-c", IMPORTS], env),
            PYTHON: timed([sys.executable, "-c", "pass"], env),
        }
        figures = rounds.interleave(turns, given.rounds)
        beside = helpers(env)
        if given.imports:
            print_imports(env)
    print(f"from start to end, milliseconds, {given.rounds} rounds")
    rounds.print_table(
        ("", "least", "median", "most"),
        [
            (name, *(f"{point(times):.1f}" for point in (min, statistics.median, max)))
            for name, times in figures.items()
        ],
    )
    print_memory(beside)
    ratio = rounds.ratio(figures, COMMAND, IMPORTS)
    rounds.print_ratios({f"{COMMAND} / {IMPORTS}": (ratio, f"at most {AIM:g}")})
    rounds.write(
        given.json,
        {
            "benchmark": "cli",
            "unit": "milliseconds",
            "figures": figures,
            "ratios": {f"{COMMAND} / {IMPORTS}": ratio},
            "helpers": [{"name": name, **helper._asdict()} for name, helper in beside],
        },
    )


if __name__ == "__main__":
    main()
