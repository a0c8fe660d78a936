"""--format: a line for each item, by a template such as '{name} {holder.host}'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consul_lock_cli.documents import HOLDER, dumps
from consul_lock_cli.names import shown
from consul_lock_cli.talk import Misuse

# Characters of one value: more than anything here has, but for a value of somebody else.
_MOST = 4096

# Objects whose fields have names of somebody's choice.
_FREE = ("meta", "node_checks")


class _Nothing:
    """What is not known: it is empty, and so are all parts of it."""

    def __getattr__(self, name: str) -> _Nothing:
        return self

    def __format__(self, spec: str) -> str:
        return format("", spec)

    def __str__(self) -> str:
        return ""


class _Fields:
    """A JSON object whose fields are attributes, as a template wants them."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _value(self._fields.get(name))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __str__(self) -> str:
        return dumps(self._fields)


class Template:
    """What --format says, checked before anything is asked of Consul."""

    def __init__(self, text: str, fields: tuple[str, ...]) -> None:
        self._text = text
        self._fields = fields
        self._check()

    def _check(self) -> None:
        import string  # every start of ours would pay for it

        names = [*self._fields, *(["holder"] if "holders" in self._fields else [])]
        try:
            for _, name, _, _ in string.Formatter().parse(self._text):
                if name is not None and not _known(name, names):
                    raise Misuse(f'--format: there is no field "{shown(name)}"', _hint(names))
            self.line(dict.fromkeys(self._fields))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            hint = "as in '{name} {holder.host}'; {{ and }} stand for braces"
            raise Misuse(f"--format: bad template: {error}", hint) from None

    def line(self, item: Mapping[str, Any]) -> str:
        """The line of one item."""
        values = {name: _value(item.get(name)) for name in self._fields}
        if "holders" in values:
            holders = item.get("holders") or []
            values["holder"] = _value(holders[0] if holders else None)
        return self._text.format_map(values)


def _known(name: str, names: Sequence[str]) -> bool:
    """Whether it is one of these, or a part of one that has parts."""
    first, dot, rest = name.partition(".")
    if first not in names or "[" in rest:
        return False
    if not dot:
        return True
    if first == "holder":
        return _known(rest, HOLDER)
    return first in _FREE and "." not in rest


def _hint(names: Sequence[str]) -> str:
    return f"fields: {', '.join(names)}; those of a holder: holder.{', .'.join(HOLDER)}"


def _value(value: Any) -> Any:
    """Something that a template can print: text of others comes without its escape sequences."""
    if value is None:
        return _Nothing()
    if isinstance(value, Mapping):
        return _Fields(value)
    if isinstance(value, list):
        simple = all(isinstance(each, str | int) for each in value)
        return shown(",".join(map(str, value)) if simple else dumps(value), _MOST)
    if isinstance(value, bool):
        return "true" if value else "false"
    return shown(value, _MOST) if isinstance(value, str) else value
