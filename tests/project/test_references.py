"""Names in backquotes, in docstrings and comments, exist."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ["consul_lock", "cli", "tests", "benchmarks", "examples", "scripts"]
_FILES = sorted(path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*.py"))

# Between single backquotes; what stands between double ones is code of any kind.
_REFERENCE = re.compile(r"(?<![`\w])`([A-Za-z_][\w.]*)`(?!`)")

# Of the operating system.
_ELSEWHERE = {"ps", "su"}

# Of others, whose names are not looked for.
_FOREIGN = sys.stdlib_module_names | {"consul"}


class _Source:
    """One module, as far as references are concerned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.code = path.read_text()
        self.texts = list[tuple[int, str]]()
        """Comments and docstrings, with the line where each begins."""
        self.words = set[str]()
        """Everything that has a name in it, and every string that could be one."""
        for token in tokenize.generate_tokens(io.StringIO(self.code).readline):
            if token.type == tokenize.NAME:
                self.words.add(token.string)
            elif token.type == tokenize.COMMENT or token.string.startswith(('"""', 'r"""')):
                self.texts.append((token.start[0], token.string))
            elif token.type == tokenize.STRING:
                self.words.add(token.string.strip("\"'"))


def _of_module(source: str) -> set[str]:
    """The names that a module binds itself."""
    found = set[str]()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Name(id, ast.Store()):
                found.add(id)
            case ast.Attribute(_, attr, ast.Store()):
                found.add(attr)
            case ast.alias():
                found.add(node.asname or node.name)
    return found


def test_names_in_backquotes_exist() -> None:
    """A name as a word anywhere; after the name of a module, in that module."""
    sources = list(map(_Source, _FILES))
    words = set[str]().union(*(source.words for source in sources))
    modules = defaultdict[str, set[str]](set)
    for source in sources:
        path = source.path
        stem = path.parent.name if path.name == "__init__.py" else path.stem
        modules[stem] |= _of_module(source.code)
        for folder in path.relative_to(_ROOT).parts[:-1]:
            modules[folder].add(stem)

    def is_there(reference: str) -> bool:
        parts = reference.split(".")
        if parts[-1] == "py":
            return any(path.name == reference for path in _FILES)
        if len(parts) > 1 and parts[0] in _FOREIGN:
            return True
        if any(part not in words and part not in modules for part in parts):
            return False
        pairs = pairwise(parts)
        return all(b in modules[a] for a, b in pairs if a in modules)

    wrong = [
        f"{source.path.relative_to(_ROOT)}:{line}: {reference}"
        for source in sources
        for line, text in source.texts
        for reference in _REFERENCE.findall(text)
        if reference not in _ELSEWHERE and not is_there(reference)
    ]
    assert wrong == []
