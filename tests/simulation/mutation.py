"""Change one function of the library for a while."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple


class Mutant(NamedTuple):
    """A wrong version of one function."""

    story: str
    """What is wrong with it."""
    place: str
    """``module:function``, or ``module:Class.method``, below ``consul_lock._protocol``."""
    old: str
    new: str
    found_by: str = ""
    """``module:test`` below ``tests`` that is played by hand and finds it out; else simulations
    have to."""
    seed: int = 0
    """Of the run that is tried first, as it found it out when this was written."""


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """The library with the wrong version.

    The code is exchanged inside the function, so modules that have imported it call the wrong one.
    """
    module_name, _, path = mutant.place.partition(":")
    module = importlib.import_module(f"consul_lock._protocol.{module_name}")
    function: Any = module
    for name in path.split("."):
        function = getattr(function, name)
    right = function.__code__
    function.__code__ = _wrong_code(Path(str(module.__file__)), path, mutant)
    try:
        yield
    finally:
        function.__code__ = right


def _wrong_code(file: Path, path: str, mutant: Mutant) -> CodeType:
    lines = file.read_text().splitlines(keepends=True)
    node: Any = ast.parse("".join(lines))
    for name in path.split("."):
        node = next(child for child in node.body if getattr(child, "name", None) == name)
    first, last = node.lineno - 1, node.end_lineno
    text = "".join(lines[first:last])
    if text.count(mutant.old) != 1:
        raise LookupError(
            f"mutant {mutant.story!r}: {mutant.old!r} is {text.count(mutant.old)} times in"
            f" {mutant.place}; has it been rewritten? Then rewrite the mutant"
        )
    lines[first:last] = [text.replace(mutant.old, mutant.new)]
    return _find(compile("".join(lines), str(file), "exec"), path.split("."))


def _find(code: CodeType, path: list[str]) -> CodeType:
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and constant.co_name == path[0]:
            return _find(constant, path[1:]) if len(path) > 1 else constant
    raise LookupError(path[0])
