"""The public API as text, one fact a line: names, kinds, parameters, fields, members, bases.

    python -m tests.project.public_api > tests/project/public_api.txt

writes the snapshot that `tests/project/test_public_api.py` compares with.  Names of private
modules and classes do not occur in it: they may move and be renamed.
"""

from __future__ import annotations

import abc
import ast
import dataclasses
import enum
import importlib
import inspect
import os
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MODULES = (
    "consul_lock",
    "consul_lock.aio",
    "consul_lock.errors",
    "consul_lock.events",
    "consul_lock.config",
    "consul_lock.testing",
)

# What a parameter is called by: "/1" and "1" by position (the second also by name), "=" by name.
_KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "/{}",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "{}",
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.KEYWORD_ONLY: "=",
    inspect.Parameter.VAR_KEYWORD: "**",
}

# Special methods that say nothing to a caller that the lines of the class do not.
_NOT_CALLED = {"__init__", "__new__", "__post_init__", "__del__", "__reduce__"}


def lines() -> Iterator[str]:
    """All facts, in the order of modules and names."""
    seen: dict[int, str] = {}
    for module in [importlib.import_module(name) for name in MODULES]:
        for name in sorted(_names(module)):
            thing, full = getattr(module, name), f"{module.__name__}.{name}"
            first = seen.setdefault(id(thing), full)
            if first != full:
                yield f"{full} is {first}"
            elif inspect.isclass(thing):
                yield from _class(full, thing)
            elif callable(thing):
                yield from _function(full, thing)
            else:
                yield f"{full}: {type(thing).__name__}"


def _names(module: types.ModuleType) -> list[str]:
    """What a module offers: what it says, or else the classes that it defines."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, thing in vars(module).items()
        if inspect.isclass(thing) and thing.__module__ == module.__name__ and name[0] != "_"
    ]


def _is_ours(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).partition(".")[0] == "consul_lock"


def _is_public(cls: type) -> bool:
    return any(getattr(sys.modules[name], cls.__name__, None) is cls for name in MODULES)


# -- classes ---------------------------------------------------------------------------------


def _class(full: str, cls: type) -> Iterator[str]:
    kind = "enum" if issubclass(cls, enum.Enum) else "class"
    yield f"{full}: {kind}"
    for base in cls.__mro__[1:]:
        if (not _is_ours(base) or _is_public(base)) and base not in (object, abc.ABC):
            yield f"{full} is a {base.__name__}"
    if issubclass(cls, enum.Enum):
        yield from (f"{full}.{member.name} = {member.value!r}" for member in cls)
    else:
        yield from _fields(full, cls)
        if any(
            _is_ours(base) and {"__init__", "__new__"} & vars(base).keys() for base in cls.__mro__
        ):
            yield from _parameters(full, cls, inspect.signature(cls))
    for name in sorted(_attributes(cls)):
        yield f"{full}.{name}: attribute"
    for name in sorted(dir(cls)):
        yield from _member(full, cls, name)


def _fields(full: str, cls: type) -> Iterator[str]:
    if dataclasses.is_dataclass(cls):
        rules = cls.__dataclass_params__  # type: ignore[attr-defined] # not in typeshed
        yield f"{full}: dataclass, frozen={rules.frozen}, order={rules.order}, eq={rules.eq}"
        for number, field in enumerate(dataclasses.fields(cls)):
            yield f"{full}.{field.name}: field {number}, {_annotation(field.type, cls)}"
    if hasattr(cls, "_fields"):
        hints = {name: hint for base in cls.__mro__ for name, hint in _own_annotations(base)}
        for number, name in enumerate(cls._fields):
            yield f"{full}.{name}: element {number}, {_annotation(hints[name], cls)}"


def _own_annotations(cls: type) -> Iterator[tuple[str, Any]]:
    yield from inspect.get_annotations(cls).items()


def _attributes(cls: type) -> set[str]:
    """What constructors of the library give an object: ``self.key = key``."""
    found: set[str] = set()
    for base in cls.__mro__:
        made = vars(base).get("__init__")
        if _is_ours(base) and inspect.isfunction(made) and not dataclasses.is_dataclass(base):
            tree = ast.parse(textwrap.dedent(inspect.getsource(made)))
            found |= {node.attr for node in ast.walk(tree) if _is_given(node)}
    return found - set(dir(cls))


def _is_given(node: ast.AST) -> bool:
    """``self.name = ...``"""
    stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    return stored and ast.unparse(node.value) == "self" and not node.attr.startswith("_")


def _member(full: str, cls: type, name: str) -> Iterator[str]:
    """One method or property; special ones where the library itself has written them."""
    thing = inspect.getattr_static(cls, name)
    owner = next((base for base in cls.__mro__ if name in vars(base)), object)
    special = name.startswith("__") and name.endswith("__")
    if not _is_ours(owner) or (name.startswith("_") and not special):
        return
    where = f"{full}.{name}"
    if isinstance(thing, property):
        assert thing.fget is not None
        kind = "property" if thing.fset is None else "property that can be set"
        yield f"{where}: {kind}, {_annotation(_returned(thing.fget), thing.fget)}"
    elif isinstance(thing, (classmethod, staticmethod)) and _is_written(thing.__func__):
        yield f"{where}: {type(thing).__name__}"
        yield from _function(where, thing.__func__, method=isinstance(thing, classmethod))
    elif inspect.isfunction(thing) and _is_written(thing) and name not in _NOT_CALLED:
        yield from _function(where, thing, method=True)
    elif not special and not callable(thing) and name not in _listed(cls):
        yield f"{where}: attribute"


def _listed(cls: type) -> set[str]:
    """The fields and members that `_class` has listed."""
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    members = getattr(cls, "__members__", ())
    return {field.name for field in fields} | {*getattr(cls, "_fields", ()), *members}


def _is_written(function: types.FunctionType) -> bool:
    """Not made by `dataclass` or `NamedTuple`."""
    return "consul_lock" in Path(function.__code__.co_filename).parts


# -- functions -------------------------------------------------------------------------------


def _function(full: str, function: Any, *, method: bool = False) -> Iterator[str]:
    yield f"{full}: {_colour(function)}"
    signature = inspect.signature(function)
    if method:
        own = list(signature.parameters.values())[1:]
        signature = signature.replace(parameters=own)
    yield f"{full} -> {_annotation(signature.return_annotation, function)}"
    yield from _parameters(full, function, signature)
    given = _scope(function).get(str(signature.return_annotation))
    if isinstance(given, type) and _is_ours(given) and not _is_public(given):
        for name in sorted(dir(given)):
            yield from _member(f"{full}()", given, name)


def _colour(function: Any) -> str:
    if inspect.iscoroutinefunction(function):
        return "coroutine function"
    if inspect.isasyncgenfunction(function):
        return "asynchronous generator"
    return "generator" if inspect.isgeneratorfunction(function) else "function"


def _returned(function: Any) -> Any:
    return inspect.get_annotations(function).get("return", inspect.Signature.empty)


def _parameters(full: str, owner: Any, signature: inspect.Signature) -> Iterator[str]:
    for number, parameter in enumerate(signature.parameters.values(), 1):
        kind = _KINDS[parameter.kind].format(number)
        if unpacked := _unpacked(parameter.annotation, owner):
            yield from (f"{full}(= {name}: {hint})" for name, hint in unpacked)
            continue
        default = "" if parameter.default is parameter.empty else f" = {_value(parameter.default)}"
        hint = _annotation(parameter.annotation, owner)
        yield f"{full}({kind} {parameter.name}: {hint}{default})"


def _unpacked(annotation: Any, owner: Any) -> list[tuple[str, str]]:
    """The options behind ``**options: Unpack[Options]``."""
    inside = re.fullmatch(r"(?:typing\.)?Unpack\[(\w+)\]", str(annotation))
    if inside is None:
        return []
    options = _scope(owner)[inside[1]]
    return [
        (name, _annotation(hint, options))
        for name, hint in sorted(inspect.get_annotations(options).items())
    ]


def _value(value: Any) -> str:
    if value is os.environ:
        return "os.environ"
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    text = repr(value)
    return f"<{type(value).__name__}>" if " at 0x" in text else text


# -- annotations -----------------------------------------------------------------------------


def _annotation(annotation: Any, owner: Any) -> str:
    """As it is written; an alias or a type variable of the library is spelled out."""
    if annotation is inspect.Signature.empty:
        return "-"
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        annotation = annotation.__name__
    scope = _scope(owner)
    return re.sub(r"\b[A-Za-z_][\w.]*", lambda word: _word(word[0], scope), str(annotation))


def _word(word: str, scope: dict[str, Any]) -> str:
    thing = scope.get(word)
    if isinstance(thing, type) and _is_ours(thing) and not _is_public(thing):
        return "<private>"
    if isinstance(thing, types.UnionType) or typing.get_origin(thing) is not None:
        return re.sub(r"\b(typing|collections\.abc|consul_lock[\w.]*)\.", "", str(thing))
    return word


def _scope(owner: Any) -> dict[str, Any]:
    """The names that an annotation can use."""
    function = inspect.unwrap(owner)
    if hasattr(function, "__globals__"):
        return dict(function.__globals__)
    scope = vars(sys.modules[owner.__module__])
    made = getattr(owner, "__init__", None)
    return {**scope, **getattr(made, "__globals__", {})}


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
