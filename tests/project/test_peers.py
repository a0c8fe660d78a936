"""docs/cli.md says what each tool does today: a cell for each, true for consul-lock."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_BENCHMARKS = _ROOT / "benchmarks"
_PAGE = _ROOT / "docs" / "cli.md"

# What a tool printed is not compared: a word of it may change.
_QUOTED = re.compile(r'".*"')


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The program that writes the page; its modules find each other by their folder."""
    if not _BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are part of the source tree only")
    monkeypatch.syspath_prepend(_BENCHMARKS)
    before = set(sys.modules)
    yield importlib.import_module("peers")
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) in map(str, _BENCHMARKS.glob("*.py")):
            del sys.modules[name]


def test_the_page_has_a_cell_for_each_situation_and_tool(peers: ModuleType) -> None:
    """In the order of the program, and none is empty."""
    names = [tool.name for tool in peers.TOOLS]
    cells = peers.read(_PAGE.read_text(), names)
    titles = [situation.title for situation in peers.SITUATIONS]
    assert len(titles) == len(set(titles)) == 15
    assert list(cells) == [(title, name) for title in titles for name in names]
    assert all(cells.values())
    assert not [cell for cell in cells.values() if cell == "not tried"]


def test_a_table_is_read_as_it_was_written(peers: ModuleType) -> None:
    """With bars in its cells, too."""
    names = [tool.name for tool in peers.TOOLS]
    cells = {(each.title, name): f"a \\| {name}" for each in peers.SITUATIONS for name in names}
    page = peers.written(_PAGE.read_text(), peers.table(cells, names, names))
    assert peers.read(page, names) == cells
    assert page.count("\n") == _PAGE.read_text().count("\n")


@pytest.mark.usefixtures("consul_binary")
def test_the_cells_of_consul_lock_are_true(peers: ModuleType) -> None:
    """Those situations that take no time, seen again."""
    names = [tool.name for tool in peers.TOOLS]
    page = peers.read(_PAGE.read_text(), names)
    (ours,) = (tool() for tool in peers.TOOLS if tool.name == "consul-lock")
    seen = peers.watch(ours, [situation for situation in peers.SITUATIONS if situation.quick])
    assert len(seen) >= 8
    for where, cell in seen.items():
        assert _QUOTED.sub("", cell) == _QUOTED.sub("", page[where]), where
