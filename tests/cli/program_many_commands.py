"""A program: run many command lines of `consul-lock`, each in a fork of its own.

`python program_many_commands.py FOLDER [--terminal] <COMMANDS`: stdin has a JSON object, from names
to lists of arguments; stdout gets one from names to [exit code, stdout, stderr].  The imports,
which are most of what a start costs, are made once.  With --terminal each has a terminal of its
own: what it shows is the stdout, and there is no stderr.  Arguments VARIABLE=VALUE before the name
of the command are of its environment.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import pty
import re
import sys
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import NoReturn

import consul_lock
import consul_lock_cli
from consul_lock_cli.main import main as consul_lock_main

Outcome = tuple[int, str, str]

_VARIABLE = re.compile(r"[A-Z_]+=", re.DOTALL)


def on_terminals(commands: dict[str, list[str]]) -> dict[str, Outcome]:
    """Run them one after the other, each on a terminal."""
    found = {}
    for name, arguments in commands.items():
        pid, master = pty.fork()
        if pid == 0:
            consul_lock_main(arguments)
        # To whatever it asks.
        os.write(master, b"n\n")
        shown = b""
        with suppress(OSError):  # the end
            while part := os.read(master, 65536):
                shown += part
        os.close(master)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        found[name] = (code, shown.decode(errors="replace"), "")
    return found


def walk(folder: Path, commands: dict[str, list[str]]) -> dict[str, Outcome]:
    """Run them one after the other."""
    found = {}
    for name, arguments in commands.items():
        pid = os.fork()
        if pid == 0:
            _become(folder, arguments)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        found[name] = (code, _text(folder / "stdout"), _text(folder / "stderr"))
    return found


def _become(folder: Path, arguments: list[str]) -> NoReturn:
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(folder / name, flags, 0o600), descriptor)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    variables = list(takewhile(_VARIABLE.match, arguments))
    os.environ.update(variable.split("=", 1) for variable in variables)
    consul_lock_main(arguments[len(variables) :])


def _text(file: Path) -> str:
    return file.read_bytes().decode(errors="replace")


def import_all() -> None:
    """So that it is there for all of them."""
    for name in consul_lock.__all__:
        getattr(consul_lock, name)
    for module in pkgutil.walk_packages(consul_lock_cli.__path__, "consul_lock_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


if __name__ == "__main__":
    import_all()
    given = json.load(sys.stdin)
    terminal = "--terminal" in sys.argv
    done = on_terminals(given) if terminal else walk(Path(sys.argv[1]), given)
    sys.stdout.write(json.dumps(done))
