"""Commands whose modules are imported when they are asked for."""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Iterator, MutableMapping, Sequence

import click

from consul_lock_cli.commands import adopt


class Lazy(MutableMapping[str, click.Command]):
    """The commands of a group by name: whoever runs one of them does not pay for the others.

    Each is in the module of its name, behind ``prefix``, and is called as that; the name of a
    keyword of Python has a _ behind it.
    """

    def __init__(self, names: Sequence[str], prefix: str = "") -> None:
        self._names = names
        self._prefix = prefix
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name in self._names and name not in self._loaded:
            python = self._prefix + name
            python = f"{python}_" if keyword.iskeyword(python) else python
            command: click.Command = getattr(
                importlib.import_module(f"consul_lock_cli.{python}"), python
            )
            command.name = name
            adopt(command)
            self._loaded[name] = command
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
