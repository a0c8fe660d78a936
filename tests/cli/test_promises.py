"""The list of promises in this folder's ``__init__`` names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import tests.cli

_HERE = Path(__file__).parent


def test_every_test_that_the_list_names_is_there() -> None:
    """A test that is renamed or removed takes its promise along, unless somebody looks."""
    named = re.findall(
        r"^    ((?:\w+/)*test_\w+): (test_\w+)$", tests.cli.__doc__ or "", re.MULTILINE
    )
    assert len(named) > 30
    for file, name in named:
        tree = ast.parse((_HERE / f"{file}.py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
