"""The options that say how much is printed to stderr, and in which form."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.headings import headed
from consul_lock_cli.settings.variables import unknown_variables


def console_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add -v, -q and --log-format; the command gets its `Console` as ``console``."""

    @functools.wraps(command)
    def with_console(**values: Any) -> Any:
        console = click.get_current_context().ensure_object(Console)
        for sentence in unknown_variables(os.environ):
            console.warn(sentence)
        return command(console=console, **values)

    # Eager: they hold for the error in another option too.
    verbose = click.option(
        "-v", "--verbose", count=True, expose_value=False, is_eager=True,
        callback=_setting("verbosity"),
        help="Report what happens; -vv also shows the traceback of an error.",
    )  # fmt: skip
    quiet = click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, is_eager=True,
        callback=_setting("quiet"),
        help="No hints and no warnings.",
    )  # fmt: skip
    form = click.option(
        "--log-format", type=click.Choice(["text", "json"]), default="text", expose_value=False,
        is_eager=True,
        callback=lambda ctx, param, value: _setting("json")(ctx, param, value == "json"),
        help="Format of messages on stderr: text, or one JSON object per line [text].",
    )  # fmt: skip
    return headed("Messages", [verbose, quiet, form])(with_console)


def _setting(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def set_it(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        setattr(ctx.ensure_object(Console), name, value)

    return set_it
