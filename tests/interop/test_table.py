"""docs/interop.md has a row for each case, and names only tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_TESTS = Path(__file__).parents[1]
_PAGE = (_TESTS.parent / "docs" / "interop.md").read_text()

# The cases of the three test suites of Consul's Go client and command, and what is tried besides.
_CASES = [f"{suite}{number}" for suite, most in (("L", 9), ("S", 9), ("C", 15), ("X", 15))
          for number in range(1, most + 1)]  # fmt: skip


def functions(file: Path) -> set[str]:
    """The tests in a file."""
    nodes = ast.walk(ast.parse(file.read_text()))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {n.name for n in nodes if isinstance(n, kinds) and n.name.startswith("test_")}


def rows() -> dict[str, str]:
    """The rows of the tables that begin with cases: what stands behind each case."""
    found: dict[str, str] = {}
    for line in _PAGE.splitlines():
        first, _, rest = line.removeprefix("| ").partition(" | ")
        for case in re.findall(r"\b[LSCX]\d+\b", first) if line.startswith("| ") else ():
            assert case not in found, f"{case} has two rows"
            found[case] = rest
    return found


def test_each_case_has_one_row_with_a_test() -> None:
    """None is left out, and none is shown by words alone."""
    assert sorted(rows()) == sorted(_CASES)
    assert [case for case, rest in rows().items() if "`test_" not in rest] == []


def test_the_page_names_tests_that_exist() -> None:
    """A test that is renamed takes its name on the page along; so does a file."""
    files = set(_TESTS.rglob("test_*.py"))
    there = set().union(*map(functions, files))
    named = set(re.findall(r"`(test_\w+)`", _PAGE))
    assert named
    assert named - there == set()
    assert set(re.findall(r"`(test_\w+\.py)`", _PAGE)) <= {file.name for file in files}


def test_every_test_of_this_folder_is_on_the_page() -> None:
    """By its name, or by that of its file."""
    mine = {file: functions(file) for file in Path(__file__).parent.glob("test_*.py")}
    del mine[Path(__file__)]
    unnamed = [
        name
        for file, names in mine.items()
        if f"`{file.name}`" not in _PAGE
        for name in names
        if f"`{name}`" not in _PAGE
    ]
    assert unnamed == []
