"""Calls that turn text into code, or a name that can be foreseen into a file: there are none, but
for the few that are named here with their reason."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_MODULES = [*(_ROOT / "consul_lock").rglob("*.py"), *(_ROOT / "cli").rglob("*.py")]

# Modules that execute what they read, and those with names of files that can be foreseen.
_NO_IMPORT = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "runpy", "imp"}

_NO_CALL = {
    "eval", "compile", "__import__", "system", "popen", "getoutput", "getstatusoutput", "mktemp",
    "tmpnam", "tempnam", "execl", "execlp", "execle", "execlpe", "spawnlp", "spawnvp", "input",
}  # fmt: skip

_EXEC = {
    "consul_lock/_protocol/consul/python_consul2.py":
        "the code of the installed package python-consul2, as an import would execute it",
}  # fmt: skip

_SHELL = {
    "cli/consul_lock_cli/run/hooks.py": "a hook is a shell command by its definition",
    "cli/consul_lock_cli/commands/watch.py": "CMD of --exec is a shell command by its definition",
}

_MAKES_FILES = {
    "cli/consul_lock_cli/base/file_replacement.py": "mkstemp, beside the file that is replaced",
    "cli/consul_lock_cli/cron/outage.py": "O_NOFOLLOW, in a folder that only this user may write",
    "cli/consul_lock_cli/cron/kept_output.py": "a file without a name",
    "cli/consul_lock_cli/process/consul_agent.py": "in the folder of mkdtemp",
}


_MAKING = {
    "write_text", "write_bytes", "touch", "mkstemp", "mkdtemp", "mkdir", "NamedTemporaryFile",
    "SpooledTemporaryFile", "TemporaryFile", "link_to", "symlink_to", "hardlink_to", "makedirs",
    "mkfifo", "mknod",
}  # fmt: skip


# Most modules have none of the words in them, and need not be parsed.
_WORDS = re.compile(
    rf"\b({'|'.join([*_NO_IMPORT, *_NO_CALL, *_MAKING, 'exec', 'shell', 'open', 'sh', 'bash'])})\b"
)


@functools.cache
def _nodes(path: Path) -> list[ast.AST]:
    text = path.read_text()
    return list(ast.walk(ast.parse(text))) if _WORDS.search(text) else []


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in _nodes(path):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute):
                yield function.attr, node
            elif isinstance(function, ast.Name):
                yield function.id, node


def _texts(node: ast.AST) -> set[str]:
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and type(n.value) is str}


def test_nothing_turns_data_into_code() -> None:
    """No eval, no pickle, no shell that gets a text which was put together."""
    for path in _MODULES:
        _executes_nothing(path)


def _executes_nothing(path: Path) -> None:
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            assert not {each.name.partition(".")[0] for each in node.names} & _NO_IMPORT
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in _NO_IMPORT
    for name, call in _calls(path):
        bare = isinstance(call.func, ast.Name)
        module = ast.unparse(call.func).rpartition(".")[0]
        if name == "compile" and module == "re":
            continue
        if name == "exec":
            assert _name(path) in _EXEC
            continue
        assert name not in _NO_CALL or (not bare and name == "input"), ast.unparse(call)
        for keyword in call.keywords:
            if keyword.arg == "shell":
                assert ast.unparse(keyword.value) == "False"


def test_a_shell_is_started_only_for_what_the_user_has_written_for_a_shell() -> None:
    """By its absolute path, and the text is its own argument: nothing is put into it."""
    for path in _MODULES:
        _starts_shells_for_users(path)


def _starts_shells_for_users(path: Path) -> None:
    shells = [call for _, call in _calls(path) if _texts(call) & {"/bin/sh", "sh", "bash"}]
    assert not shells or _name(path) in _SHELL
    for call in shells:
        for node in ast.walk(call):
            if isinstance(node, ast.List) and "-c" in _texts(node):
                shell, *_, text = node.elts
                assert ast.unparse(shell) == "'/bin/sh'"
                assert not isinstance(text, (ast.JoinedStr, ast.BinOp, ast.Constant))


def test_a_file_is_made_only_where_its_name_cannot_be_foreseen() -> None:
    """Or in a folder of this user's own; no link that is there is followed."""
    for path in _MODULES:
        _makes_no_files(path)


def _makes_no_files(path: Path) -> None:
    made = []
    for name, call in _calls(path):
        module = ast.unparse(call.func).rpartition(".")[0]
        arguments = " ".join(map(ast.unparse, call.args))
        if isinstance(call.func, ast.Attribute) and name in _MAKING:
            made.append(call)
        elif name == "open" and module == "os":
            if "O_CREAT" in path.read_text():
                assert "O_NOFOLLOW" in path.read_text() or "O_EXCL" in path.read_text()
                made.append(call)
        elif name == "open" and any(f"'{m}" in arguments for m in ("w", "a", "x", "r+", "rb+")):
            made.append(call)
    assert not made or _name(path) in _MAKES_FILES, [ast.unparse(call) for call in made]


@pytest.mark.parametrize("allowed", [_EXEC, _SHELL, _MAKES_FILES])
def test_every_exception_is_still_needed(allowed: dict[str, str]) -> None:
    """One that is not would cover the next."""
    marks = {id(_EXEC): "exec(", id(_SHELL): "/bin/sh"}
    mark = marks.get(id(allowed))
    for name in allowed:
        text = (_ROOT / name).read_text()
        if mark is not None:
            assert mark in text
        else:
            assert any(w in text for w in ("mkstemp", "mkdtemp", "O_CREAT", "TemporaryFile"))
