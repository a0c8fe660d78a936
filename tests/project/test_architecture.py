"""ARCHITECTURE.md points at files that exist: packages, paths, answers, decisions and links."""

from __future__ import annotations

import ast
import re
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from consul_lock import Client, Lock, Session
from consul_lock.testing import serve
from tests.project.test_layers import _COMMAND_LEVELS, _LEVELS, _PROTOCOL_LEVELS

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = _ROOT / "ARCHITECTURE.md"
_DECISIONS = _ROOT / "docs" / "decisions.md"
_GUIDES = [_PAGE, _DECISIONS, _ROOT / "CONTRIBUTING.md"]

# What a path in these texts may be relative to.
_BASES = [_ROOT, _ROOT / "consul_lock", _ROOT / "consul_lock" / "_protocol"]

_MAX_LINES, _MAX_FILES = 170, 9


def _section(title: str) -> str:
    """The text below a heading of the page."""
    found = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", _PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"no section {title!r}"
    return found[1]


def _rows(title: str) -> list[list[str]]:
    """The cells of a section's table, without its head; backquotes are taken off."""
    lines = [line for line in _section(title).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells, f"no table in {title!r}"
    return [[cell.replace("`", "") for cell in row] for row in cells]


def _functions(path: Path) -> set[str]:
    """The functions and methods that a file defines."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


def _step(row: list[str]) -> tuple[Path, str]:
    """File and function of a row of a path, both seen to be there."""
    path = _ROOT / "consul_lock" / row[0]
    assert path.is_file(), row[0]
    assert row[1] in _functions(path), f"no function {row[1]!r} in {row[0]}"
    return path, row[1]


_PATHS = ["The path of an acquire", "The path of a release"]


@pytest.mark.parametrize("title", _PATHS)
def test_a_path_is_short_and_its_functions_are_there(title: str) -> None:
    """Every file is there, and defines the function that is named."""
    steps = [_step(row) for row in _rows(title)]
    assert len({path for path, _ in steps}) == len(steps) <= _MAX_FILES


def test_the_paths_are_those_that_a_lock_takes() -> None:
    """Each function is called, and for the first time in the order of the table."""
    acquired, released = ([_step(row) for row in _rows(title)] for title in _PATHS)
    with serve() as served, Client(served.address) as client:
        session = Session(client=client)
        session.open()  # a request of its own
        lock = Lock("architecture", session=session)
        assert _first_calls(lock.__enter__, acquired) == acquired
        assert _first_calls(lambda: lock.__exit__(None, None, None), released) == released


def _first_calls(
    run: Callable[[], object], steps: list[tuple[Path, str]]
) -> list[tuple[Path, str]]:
    """Those of these functions that are called meanwhile in this thread, in that order."""
    calls = dict[tuple[str, str], None]()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_code.co_filename, frame.f_code.co_name] = None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return [call for file, name in calls if (call := (Path(file), name)) in steps]


def test_every_answer_leads_to_a_function_and_its_tests() -> None:
    """One step from the question to the code, and to what is to be run after a change of it."""
    rows = _rows("Where is it?")
    assert len(rows) >= 3
    for question, file, function, tests in rows:
        path = _ROOT / file
        assert path.is_file(), question
        assert function in _functions(path), f"{question}: no {function!r} in {file}"
        assert tests, question
        for test in tests.split():
            assert (_ROOT / test).is_file(), f"{question}: no {test}"


def _drawn(head: str, indent: int) -> list[str]:
    """The packages drawn below a line that begins with ``head``, that far in, in their order."""
    lines = iter(_section("The packages").splitlines())
    assert any(line.startswith(f"    {head}") for line in lines), f"{head!r} is not drawn"
    names = list[str]()
    for line in lines:
        left, *says = re.split(r" {2,}", line.strip(), maxsplit=1)
        depth = len(line) - len(line.lstrip())
        if depth < indent and left[:1] not in {"", "│", "▼"}:
            break
        if depth == indent and left[:1] not in {"", "│", "▼"}:
            assert says, f"{left} says nothing"
            names += re.findall(r"[\w.]+", left.replace("generates", ""))
    return names


def _is_package(folder: Path) -> bool:
    return folder.is_dir() and (folder / "__init__.py").exists()


def test_every_package_is_drawn_above_what_it_imports_from() -> None:
    """In the order of the levels that tests/project/test_layers.py enforces, none left out."""
    library, flows, command = (
        _drawn("consul_lock, .aio", 6),
        _drawn("  _config, _protocol", 8),
        _drawn("cli/consul_lock_cli", 6),
    )
    for names, levels in (
        (library, {part: n for n, parts in enumerate(_LEVELS) for part in parts}),
        (flows, {part: n for n, parts in enumerate(_PROTOCOL_LEVELS) for part in parts}),
        (command, _COMMAND_LEVELS),
    ):
        heights = [levels[name] for name in names]
        assert heights == sorted(heights, reverse=True), names
    folders = {
        "consul_lock": library,
        "consul_lock/_protocol": flows,
        "cli/consul_lock_cli": command,
    }
    for folder, names in folders.items():
        drawn = {path.name for path in (_ROOT / folder).iterdir() if _is_package(path)}
        assert not drawn - set(names), folder
        assert len(names) == len(set(names)), folder
    assert {part for parts in _PROTOCOL_LEVELS for part in parts} == set(flows)


def _anchors(path: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def _links(path: Path) -> Iterator[str]:
    yield from re.findall(r"\]\(([^)\s]+)\)", path.read_text())


@pytest.mark.parametrize("path", _GUIDES, ids=lambda path: path.name)
def test_no_link_is_dead(path: Path) -> None:
    """Neither to a file nor to a heading of it."""
    dead = list[str]()
    for link in _links(path):
        file, _, anchor = urllib.parse.unquote(link).partition("#")
        if "://" in link:
            continue
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            dead.append(link)
    assert list(_links(path))
    assert not dead


@pytest.mark.parametrize("path", _GUIDES, ids=lambda path: path.name)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    """In backquotes: from the root, from the library or from the flows."""
    named = set(re.findall(r"`([\w/.-]+/[\w.-]+)`", path.read_text()))
    files = {name for name in named if Path(name).suffix in {".py", ".sh", ".md", ".toml"}}
    assert files
    assert not {name for name in files if not any((base / name).is_file() for base in _BASES)}


def test_no_decision_is_lost() -> None:
    """The page has one line for each, in the order of docs/decisions.md."""
    heads = re.findall(r"^### (.*)$", _DECISIONS.read_text(), re.MULTILINE)
    lines = re.findall(r"^- \[(.*?)\]\(docs/decisions\.md#", _section("Decisions"), re.MULTILINE)
    assert lines == [*heads, "Dependencies"]


def test_it_is_one_page() -> None:
    """What the tree itself says, and what needs more than a line, stands elsewhere."""
    assert len(_PAGE.read_text().splitlines()) <= _MAX_LINES


def test_the_tests_to_run_exist_and_no_package_is_left_out() -> None:
    """CONTRIBUTING.md says for each package of the library what to run after a change."""
    text = (_ROOT / "CONTRIBUTING.md").read_text()
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| ")][1:]
    changed, run = (
        {path for row in rows for path in re.findall(r"`([\w./]+)`", row[at])} for at in (0, 1)
    )
    assert run
    assert not {path for path in changed | run if not (_ROOT / path).exists()}
    packages = {
        "consul_lock/" + package.name
        for package in (_ROOT / "consul_lock").iterdir()
        if _is_package(package)
    }
    flows = {path for path in (_ROOT / "consul_lock" / "_protocol").iterdir() if _is_package(path)}
    packages |= {"consul_lock/_protocol/" + package.name for package in flows}
    assert packages - {"consul_lock/_protocol"} <= changed
