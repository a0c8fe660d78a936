"""--help with the options under headings, instead of one list of sixty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_REST = "Options"


def headed(title: str, options: list[Any]) -> Callable[[Any], Callable[..., Any]]:
    """Add these options to a command, under this heading."""

    def add(command: Any) -> Callable[..., Any]:
        before = len(getattr(command, "__click_params__", ()))
        for option in reversed(options):
            command = option(command)
        for param in command.__click_params__[before:]:
            vars(param)["heading"] = title
        decorated: Callable[..., Any] = command
        return decorated

    return add


class HeadedCommand(click.Command):
    """One whose options stand under their headings, those that have none first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write them."""
        parts: dict[str, list[tuple[str, str]]] = {_REST: []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                parts.setdefault(vars(param).get("heading", _REST), []).append(record)
        for title, records in parts.items():
            with formatter.section(title):
                formatter.write_dl(records)
