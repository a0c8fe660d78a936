"""What a start costs: modules, processes and memory.  benchmarks/cli.py measures the time."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from tests.cli.command import PATIENCE, Running, environment
from tests.cli.process_tree import Helper, helpers_of, text_of
from tests.support.waiting import eventually

# `--help` and a usage error of each command there is, in one process: what was imported by one
# would still be there for the next, so the first offender is named.
_PROGRAM = """
import contextlib, io, sys
import click
from consul_lock_cli.main import cli
from consul_lock_cli.base.console import Console

def paths(group):
    for name, command in group.commands.items():
        yield [name]
        if isinstance(command, click.Group):
            yield from ([name, *rest] for rest in paths(command))

for arguments in [[], *paths(cli)]:
    for last in ("--help", "--nonsense"):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(click.UsageError):
            cli.main([*arguments, last], standalone_mode=False, obj=Console())
        found = [m for m in sys.modules if m.split(".")[0] in FOREIGN or (
            m.startswith("consul_lock.") and m not in LIGHT)]
        assert not found, (arguments, last, found)
"""

_FOREIGN = {"consul", "requests", "urllib3", "six", "aiohttp", "asyncio", "ssl"}
# What imports nothing else of the library.
_LIGHT = {"consul_lock.errors", "consul_lock.limits", "consul_lock.names"}

# Megabytes, of which a page that both have counts once.  It was 24, and 9 for the guardian; what a
# Python needs varies from build to build.
_MEMORY = 40.0
# A Python of its own takes 15 at least.
_GUARDIAN = 14.0


def test_help_and_misuse_load_no_client() -> None:
    """Of any command: they must be quick, and work without the library's own dependencies."""
    command = [sys.executable, "-c", f"FOREIGN, LIGHT = {_FOREIGN}, {_LIGHT}\n{_PROGRAM}"]
    result = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_running_command_costs_two_processes_and_little_memory(
    address: str, key: str, tmp_path: Path
) -> None:
    """The wrapper, and one that guards it: counted by a variable that the wrapper has."""
    mark = uuid4().hex
    script = f"echo $$ >{tmp_path}/pid; exec sleep 600"
    env = environment(address, CONSUL_LOCK_TEST=mark)
    with Running(["run", "--key", key, "--", "sh", "-c", script], env) as running:
        pid = int(eventually(lambda: text_of(tmp_path / "pid").strip()))
        helpers = _settled(mark, pid, running.pid)
        assert running.pid in [helper.pid for helper in helpers]
        assert len(helpers) <= 2, helpers
        assert sum(helper.proportional for helper in helpers) < _MEMORY, helpers
        (guardian,) = (helper for helper in helpers if helper.pid != running.pid)
        assert guardian.proportional < _GUARDIAN


def _settled(mark: str, command: int, wrapper: int) -> list[Helper]:
    """The helpers, when nothing that only lives for the start is left."""
    found: list[Helper] = []

    def few() -> bool:
        found[:] = helpers_of(mark, command, wrapper)
        return len(found) <= 2

    try:
        eventually(few, 60.0)
    except AssertionError:
        pass  # the caller says what is wrong
    return found


# `click` is imported by everything, and at that moment somebody types Ctrl-C.
_INTERRUPTED = """
import os, signal, sys
class Typing:
    def find_spec(self, name, *rest):
        if name == "click": os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Typing())
from consul_lock_cli.entry import main
sys.argv[1:] = ["version"]
main()
"""


def test_an_interrupt_at_the_start_is_quiet() -> None:
    """It ends the program, as any other, and without a traceback of its imports."""
    result = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (-signal.SIGINT, "", "")
