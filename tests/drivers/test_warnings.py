"""Each warning of the library points at the line that called it, whatever lies in between."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import consul_lock
from consul_lock.testing import ServedWorld
from tests.drivers import program_warnings

ROOT = Path(__file__).parents[2]
PROGRAM = Path(program_warnings.__file__)


def _marked(api: str) -> list[tuple[int, str]]:
    """The lines of the program that are to be warned of, and of which category."""
    lines = enumerate(PROGRAM.read_text().splitlines(), 1)
    found = [(number, re.search(rf"  # {api} (\w+Warning)$", line)) for number, line in lines]
    return [(number, match[1]) for number, match in found if match is not None]


@pytest.mark.parametrize("api", ["threads", "asyncio"])
def test_a_warning_points_at_the_line_of_the_caller(
    api: str, served: ServedWorld, tmp_path: Path
) -> None:
    """A token file for all to read, a client and a lock that are dropped, a parent's lock."""
    token_file = tmp_path / "token"
    token_file.write_text("secret")
    token_file.chmod(0o644)
    command = [
        sys.executable,
        "-m",
        program_warnings.__name__,
        api,
        served.address,
        str(token_file),
    ]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert run.stderr == ""
    seen = json.loads(run.stdout)
    assert len(_marked(api)) == 5
    assert {Path(file) for file, _, _, _ in seen} == {PROGRAM}
    assert sorted((line, category) for _, line, category, _ in seen) == _marked(api)


def test_every_warning_of_the_library_is_among_them() -> None:
    """Of four things, each in the program above; a client is dropped in both APIs."""
    package = Path(consul_lock.__file__).parent
    calls = Counter[str]()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                calls[ast.unparse(node.func)] += 1
    assert calls["warnings.warn"] == 1
    assert calls["warnings.warn_explicit"] == 0
    assert calls["warn_caller"] == 5
