"""Commands whose modules are imported when they are asked for."""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Iterator, MutableMapping, Sequence

import click

from consul_lock_cli.settings.context import adopt


class Lazy(MutableMapping[str, click.Command]):
    """The commands of a group by name: whoever runs one of them does not pay for the others.

    Each is in the module of its name in `commands`, or in ``package`` there, as a function that
    is called as both; the name of a keyword of Python has a _ behind it.
    """

    def __init__(self, names: Sequence[str], package: str = "") -> None:
        self._names = names
        self._package = f"{package}." if package else ""
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name in self._names and name not in self._loaded:
            python = f"{name}_" if keyword.iskeyword(name) else name
            module = importlib.import_module(f"consul_lock_cli.commands.{self._package}{python}")
            command: click.Command = getattr(module, self._package.replace(".", "_") + python)
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
