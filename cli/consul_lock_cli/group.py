"""Groups of commands: each is imported when it is asked for, and takes settings from everywhere."""

from __future__ import annotations

import importlib
import keyword
import os
import re
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import click

from consul_lock_cli.base.errors import BadSetting, Misuse
from consul_lock_cli.settings.catalogue import COMPLETION_VARIABLE, SETTINGS
from consul_lock_cli.settings.context import SettingsContext, setting_of

_ALIASES = {"list": "ls", "force-release": "break"}

_RELEASES = (
    "'consul-lock run' releases its lock when COMMAND ends;"
    " 'consul-lock break KEY' takes it from another holder"
)

# What people type who know other tools, and what does that here.
_MEANT = {
    "lock": "'consul-lock run --key KEY -- COMMAND' holds a lock while COMMAND runs",
    "acquire": "'consul-lock run --key KEY -- COMMAND' acquires it, and holds it while COMMAND"
    " runs; with --hold instead of COMMAND until a signal comes",
    "unlock": _RELEASES,
    "release": _RELEASES,
}


class LazyCommands(MutableMapping[str, click.Command]):
    """The commands of a group by name: running one of them does not load the others.

    Each is in the module of its name in `commands`, or in ``package`` there, as a function that
    is called as both; the name of a keyword of Python has a _ behind it,
    and a - is a _.
    """

    def __init__(self, names: Sequence[str], package: str = "") -> None:
        self._names = names
        self._package = f"{package}." if package else ""
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name in self._names and name not in self._loaded:
            python = f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
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


class Commands(click.Group):
    """A group whose commands take settings from all sources."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; some have a second one."""
        return super().get_command(ctx, _ALIASES.get(cmd_name, cmd_name))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without a word, the help is what was meant."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words begin with.  Raises `Misuse` for that of another tool."""
        name = args[0]
        meant = "" if ctx.parent else _MEANT.get(name, "")
        if meant and not ctx.resilient_parsing:
            raise Misuse(f"there is no command '{name}'", meant)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them; a long summary takes a second line, where click would cut it off."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str(1000)) for name, each in found if each is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.  If its options are wrong, say where the wrong one comes from."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if isinstance(error.ctx, SettingsContext):
                blame(error, error.ctx)
            raise

    def main(self, *args: Any, **more: Any) -> Any:
        """Run the command line, or answer a shell that wants to complete one."""
        if os.environ.get(COMPLETION_VARIABLE):
            # Every other start need not pay for it.
            from consul_lock_cli.completion.answer import answer

            return answer(self, sys.argv[1:])
        return super().main(*args, **more)


def adopt(command: click.Command) -> None:
    """Let a command take settings from everywhere."""
    if not issubclass(command.context_class, SettingsContext):
        command.context_class = SettingsContext


def blame(error: click.UsageError, ctx: SettingsContext) -> None:
    """A value of a file or a variable that a check of the command refuses is no misuse of it: raise
    an error that says where it comes from."""
    message = error.format_message()
    named = set(re.findall(r"--([a-z][a-z-]*[a-z])", message)) & set(SETTINGS)
    param = error.param if isinstance(error, click.BadParameter) else None
    if param is not None:
        named.add(setting_of(param) or "")
    guilty = {name: ctx.looked_up[name] for name in named if name in ctx.looked_up}
    if not guilty:
        return
    text = "; ".join(f"--{name} comes from {origin.where}" for name, origin in guilty.items())
    if any(ctx.origin(name).source == "flag" for name in named if name in SETTINGS):
        # The user can type this in another way, so both names are mentioned.
        hint = getattr(error, "hint", "")
        raise Misuse(message, f"{hint}; {text}" if hint else text) from error
    raise BadSetting(f"{message} ({text})") from error
