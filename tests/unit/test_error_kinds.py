"""The kinds of errors: each is documented, and raised by its own class alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from consul_lock import LossReason, errors
from consul_lock._protocol.consul.replies import denied
from consul_lock_cli.base import error_table

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/errors.md").read_text()

CLASSES: dict[str, type[errors.ConsulLockError]] = {
    name: found
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, errors.ConsulLockError)
}


def kinds_of(error: type[errors.ConsulLockError]) -> tuple[Any, ...]:
    """The kinds of a class, as its type says."""
    if error is errors.ConsulLockError:
        return ("unforeseen",)
    return get_args(getattr(errors, f"{error.__name__}Kind"))


def _described(name: str) -> tuple[list[str], int]:
    """What the page says of a class: its kinds, and the exit code."""
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, f"docs/errors.md has no section {name}"
    code = re.search(r"Exit code (\d+)\.", section[1])
    assert code, f"docs/errors.md gives no exit code of {name}"
    return re.findall(r"^\| `([a-z0-9-]+)` \| \S", section[1], re.MULTILINE), int(code[1])


@pytest.mark.parametrize("name", CLASSES)
def test_the_page_has_each_kind_of_each_class_and_its_exit_code(name: str) -> None:
    """No more and no less, in the order of the code."""
    error = CLASSES[name]
    kinds, code = _described(name)
    assert kinds == list(kinds_of(error))
    assert {int(error_table.failure(error("x", kind=kind)).code) for kind in kinds} == {code}


def test_the_command_knows_no_kind_that_there_is_not() -> None:
    """A row of its table for a word of another class, or an old one, would never be used."""
    for error, kind in error_table.CASES:
        if kind is not None:
            assert issubclass(error, errors.ConsulLockError)
            assert kind in kinds_of(error)


@pytest.mark.parametrize(
    "rule, access",
    [
        ('session_prefix "" { policy = "write" }', "session:write"),
        ('key_prefix "" { policy = "read" }', 'key:read on ""'),
        (
            'key_prefix "a/" { policy = "write" } key_prefix "b/" { policy = "write" }',
            'key:write on "a/" and "b/"',
        ),
        ('service "consul-lock" { policy = "write" }', ""),
    ],
)
def test_the_access_that_a_rule_grants(rule: str, access: str) -> None:
    """As the command says it; a MultiLock needs the rules of all its keys."""
    error = denied("Permission denied", "locking it", rule)
    assert (error.rule, error.access, error.action) == (rule, access, "locking it")
    said = f"{access} (locking it)" if access else error.problem
    assert error_table.complaint(error) == f"permission denied: {said}"
    assert error_table.failure(error).hint.startswith(f"the token needs  {rule}  ; ")


def test_a_kind_belongs_to_one_class() -> None:
    """So the kind alone says what it is, and the type of all kinds has each once."""
    every = [kind for error in CLASSES.values() for kind in kinds_of(error)]
    assert len(every) == len(set(every))
    assert set(every) == set(get_args(errors.ErrorKind))


def test_the_kind_of_a_loss_is_its_reason() -> None:
    """Two lists of the same words, of which one is an enum."""
    assert [reason.value for reason in LossReason] == list(kinds_of(errors.LockLost))
    assert errors.LockLost(reason=LossReason.STOLEN).kind == "stolen"


def test_problem_and_hint_make_the_sentence() -> None:
    """The message is the problem; with a problem of its own it is the whole sentence, which need
    not be given."""
    plain = errors.Unavailable("no answer")
    assert (str(plain), plain.problem, plain.hint) == ("no answer", "no answer", "")
    error = errors.Unavailable("no answer", hint="is it there?", kind="no-answer")
    assert (str(error), error.problem) == ("no answer; is it there?", "no answer")
    whole = errors.ConfigError("it is so: do this", problem="it is so", hint="do this")
    assert (str(whole), whole.problem, whole.hint) == ("it is so: do this", "it is so", "do this")
    made = errors.ConfigError(problem="it is so", hint="do this")
    assert (str(made), made.problem, made.hint) == (str(whole), whole.problem, whole.hint)


def _made() -> Iterator[tuple[str, str, ast.Call, ast.Module]]:
    """Each place of the library that makes an error: where, its class, the call, the module."""
    for path in sorted((ROOT / "consul_lock").rglob("*.py")):
        tree = ast.parse(path.read_text())
        ours = {"NotConsul": "ConfigError"}
        for node in ast.walk(tree):
            # By its import, as the made-up Consul has a Refused of its own.
            if isinstance(node, ast.ImportFrom) and node.module == "consul_lock.errors":
                ours |= {alias.name: alias.name for alias in node.names if alias.name in CLASSES}
        for node in ast.walk(tree):
            called = node.func if isinstance(node, ast.Call) else None
            name = ours.get(called.id) if isinstance(called, ast.Name) else None
            if name and isinstance(node, ast.Call):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", name, node, tree


def _words(value: ast.expr, tree: ast.Module, known: set[str]) -> set[str]:
    """The kinds that an argument can be."""
    if isinstance(value, ast.IfExp):
        return _words(value.body, tree, known) | _words(value.orelse, tree, known)
    if isinstance(value, ast.Constant):
        return {str(value.value)}
    # A variable, of a type that allows no other words than those of the class.
    return known & {str(n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant)}


def test_each_place_that_makes_an_error_gives_a_kind_of_its_class() -> None:
    """And each kind is given somewhere: the page describes nothing that does not happen."""
    given: dict[str, set[str]] = {name: set() for name in CLASSES}
    wrong = []
    for where, name, call, tree in _made():
        known = set(kinds_of(CLASSES[name]))
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        if name == "LockLost" and "reason" in keywords:
            given[name] |= known
        elif "kind" not in keywords or not _words(keywords["kind"], tree, known) <= known:
            wrong.append(f"{where}: {name}")
        else:
            given[name] |= _words(keywords["kind"], tree, known)
    assert not wrong
    assert given == {name: set(kinds_of(error)) for name, error in CLASSES.items()}


# Texts of others, which have no field for it.
_FOREIGN_TEXTS = {
    "cli/consul_lock_cli/base/error_table.py: _case",  # Python's, of a thread that cannot start
    "consul_lock/_drivers/end.py: is_at_end",  # Python's, of the end of the interpreter
    "consul_lock/_drivers/http.py: handshake_failed",  # OpenSSL's
}
_TAKES_APART = {
    *("startswith", "endswith", "partition", "rpartition", "split", "find", "index", "count"),
    *("match", "search", "fullmatch", "findall", "finditer", "sub"),
}


def _takes_apart(function: ast.AST) -> bool:
    """Whether it looks into the text of an exception that it has caught or was given."""
    texts = {
        ast.unparse(target)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and _is_text(node.value)
        for target in node.targets
    }

    def is_text(node: ast.AST) -> bool:
        return any(_is_text(each) or ast.unparse(each) in texts for each in ast.walk(node))

    for node in ast.walk(function):
        looked_at: list[ast.AST] = []
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            looked_at = list(node.comparators)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            looked_at = [node.func.value, *node.args] if node.func.attr in _TAKES_APART else []
        if any(map(is_text, looked_at)):
            return True
    return False


def _is_text(node: ast.AST) -> bool:
    """``str(error)``, ``error.args[0]`` or ``error.problem``."""
    text = ast.unparse(node) if isinstance(node, ast.Call | ast.Attribute) else ""
    return bool(re.fullmatch(r"str\((error|refusal|failure)\)|error\.(args|problem|hint)", text))


def test_no_code_parses_the_sentences_of_errors() -> None:
    """Neither the library nor the command: they are for people, and may change."""
    found = {
        f"{path.relative_to(ROOT)}: {function.name}"
        for folder in ("consul_lock", "cli")
        for path in (ROOT / folder).rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and _takes_apart(function)
    }
    assert found == _FOREIGN_TEXTS
