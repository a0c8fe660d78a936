"""A program: run many command lines of `consul-lock`, each in a fork of its own.

`python walk.py FOLDER <COMMANDS`: stdin has a JSON object, from names to lists of arguments;
stdout gets one from names to [exit code, stdout, stderr].  The imports, which are most of what a
start costs, are made once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NoReturn

import consul_lock  # noqa: F401 - so that it is there for all
from consul_lock_cli.main import main as consul_lock_main

Outcome = tuple[int, str, str]


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
    consul_lock_main(arguments)


def _text(file: Path) -> str:
    return file.read_bytes().decode(errors="replace")


if __name__ == "__main__":
    given = json.load(sys.stdin)
    sys.stdout.write(json.dumps(walk(Path(sys.argv[1]), given)))
