"""--format: a line for each item, by a template such as '{name} {holder.host}'.

It is a template of Python's kind, but names lead to fields of the item only: Python's own way
with them reaches anything that Python has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import shown
from consul_lock_cli.output.cron_json import CHANGE, CRON, PAUSE
from consul_lock_cli.output.lock_json import BREAK, HOLDER, dumps

# Characters of one value: more than anything here has, but for a value of somebody else.
_TEXT_MAX = 4096

# Objects whose fields have names of somebody's choice.
_FREE = ("meta", "node_checks")

# Objects whose fields are documented.
_PARTS = {
    "holder": HOLDER,
    "last_break": BREAK,
    "cron": CRON,
    "paused": PAUSE,
    "changed": CHANGE,
}

# How a value is to be set: fill and align, width, and how much of it; a thousand columns do.
_LAYOUT = re.compile(r"(.?[<>^])?\d{0,3}(\.\d{1,3})?s?")


class _Part(NamedTuple):
    """Some text, and a value behind it."""

    text: str
    path: tuple[str, ...]
    """The names that lead to the value; empty: there is none."""
    layout: str


class Template:
    """What --format says, checked before anything is asked of Consul."""

    def __init__(self, text: str, fields: tuple[str, ...]) -> None:
        import string  # every start would pay for it

        more = ["holder"] if "holders" in fields else []
        self._names = list(dict.fromkeys([*fields, *more]))
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise _bad(str(error)) from None
        self._parts = [self._part(*part) for part in parsed]

    def _part(
        self, text: str, name: str | None, layout: str | None, conversion: str | None
    ) -> _Part:
        if name is None:
            return _Part(text, (), "")
        path = _path(name, self._names)
        if not path:
            raise Misuse(f'--format: there is no field "{shown(name)}"', self._hint())
        if conversion or not _LAYOUT.fullmatch(layout or ""):
            raise _bad(
                f'"{shown(f"!{conversion}" if conversion else layout or "")}" is not a width'
            )
        return _Part(text, path, layout or "")

    def line(self, item: Mapping[str, Any]) -> str:
        """The line of one item."""
        holders = item.get("holders") or [None]
        values = {"holder": holders[0], **item}
        return "".join(
            part.text + (format(_shown(_at(values, part.path)), part.layout) if part.path else "")
            for part in self._parts
        )

    def _hint(self) -> str:
        parts = [f"{name}.{', .'.join(_PARTS[name])}" for name in self._names if name in _PARTS]
        return "; ".join([f"fields: {', '.join(self._names)}", *parts])


def _bad(why: str) -> Misuse:
    hint = "as in '{name} {holder.host:>20}'; {{ and }} stand for braces"
    return Misuse(f"--format: bad template: {why}", hint)


def _path(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """The way to a field; empty if there is no such field."""
    first, dot, rest = name.partition(".")
    if first not in names:
        return ()
    if not dot:
        return (first,)
    if first in _PARTS:
        further = _path(rest, _PARTS[first])
        return (first, *further) if further else ()
    return (first, rest) if first in _FREE else ()


def _at(value: Any, path: Sequence[str]) -> Any:
    """What is there; None if there is nothing."""
    for name in path:
        value = None if value is None else value.get(name)
    return value


def _shown(value: Any) -> str:
    """As text without anybody's escape sequences; empty: it is not known."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return dumps(value)
    if isinstance(value, list):
        simple = all(isinstance(each, str | int) for each in value)
        return shown(",".join(map(str, value)) if simple else dumps(value), _TEXT_MAX)
    return shown(str(value), _TEXT_MAX)
