"""The types of the values of options and arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from consul_lock.names import fault_of
from consul_lock_cli.base.durations import parse_duration
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.headings import HeadedCommand
from consul_lock_cli.base.text import shown
from consul_lock_cli.spec.connection import connection_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_EXAMPLES = 'use names like "backup" or "jobs/nightly"'


class Duration(click.ParamType):  # type: ignore[type-arg] # not generic in older clicks
    """Seconds, as people write them."""

    name = "DUR"

    def __init__(self, *, zero: bool = True) -> None:
        self._zero = zero

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Refuse what is no duration, saying which option it is."""
        if not isinstance(value, str):
            return float(value)
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            raise Misuse(f"{flagged(param)}{error}") from None
        if not seconds and not self._zero:
            raise Misuse(f'{flagged(param)}bad duration "{value}": must be more than 0')
        return seconds


class WholeNumber(click.ParamType):  # type: ignore[type-arg] # the same
    """A number between two others, both allowed; without ``maximum`` there is no upper limit.

    click has one, which writes such ranges as formulas into --help.
    """

    name = "N"

    def __init__(self, minimum: int, maximum: int | None = None) -> None:
        self._minimum = minimum
        self._maximum = maximum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Refuse all others, and say which ones there are."""
        try:
            number = int(value)
        except ValueError:
            number = self._minimum - 1
        if number < self._minimum or (self._maximum is not None and number > self._maximum):
            upto = "or more" if self._maximum is None else f"to {self._maximum}"
            raise Misuse(
                f'{flagged(param)}bad number "{shown(str(value))}"', f"use {self._minimum} {upto}"
            )
        return number


class _Name(click.ParamType):  # type: ignore[type-arg] # the same
    """A name of a lock or cron job, which a shell can complete."""

    def __init__(self, name: str, *, cron: bool = False) -> None:
        self.name = name
        self._cron = cron

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what Consul would trip over."""
        return check_name(str(value))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The locks, or jobs, that there are."""
        from click.shell_completion import CompletionItem

        from consul_lock_cli.completion.answer import names

        found = names(connection_of(ctx), incomplete, self._cron)
        return [CompletionItem(name) for name in found]


class _Prefix(_Name):
    """The beginning of names; empty, it is that of all."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no name begins with."""
        prefix = str(value)
        if prefix:
            check_name(prefix.removesuffix("/"))
        return prefix


class _Shells(click.ParamType):  # type: ignore[type-arg] # the same
    """A text that is taken as it is, and that the shell completes best."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self._kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Say what it is; of a command, also how many words of it there are before this one."""
        from click.shell_completion import CompletionItem

        before = ctx.params.get(param.name or "") or () if param.nargs == -1 else ()
        return [CompletionItem(str(len(before)), type=self._kind)]


def flagged(param: click.Parameter | None) -> str:
    """The option that a message is about, to begin it with."""
    return f"{param.opts[-1]}: " if param else ""


DURATION = Duration()
POSITIVE = Duration(zero=False)
"""A duration that cannot be 0."""
NAME = _Name("KEY")
PREFIX = _Prefix("PREFIX")
CRON_NAME = _Name("NAME", cron=True)
CRON_PREFIX = _Prefix("PREFIX", cron=True)
FILE = _Shells("FILE", "file")
FOLDER = _Shells("DIR", "dir")
COMMAND = _Shells("COMMAND", "command")


class Runner(HeadedCommand):
    """One with a COMMAND to run: options after its first word belong to COMMAND."""

    allow_interspersed_args = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse them; the name of the lock may come first, with a -- behind it."""
        if "--" in args and not ctx.resilient_parsing:
            args = self._with_option(ctx, args)
        return super().parse_args(ctx, args)

    def _with_option(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The same with --key before the name, if it is there and not yet named."""
        if any(word.startswith(("-k", "--key", "--name")) for word in args[: args.index("--")]):
            return args  # almost always: nothing has to be parsed twice
        name = next((param.name for param in self.params if "--key" in param.opts), None)
        if name is None:
            return args  # it locks nothing
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        rest = list(given.get("command") or ())
        before = args[: len(args) - len(rest)]
        # A number would be that of 'consul lock -n 3 KEY', and what follows a -- is a command.
        named = len(rest) > 1 and rest[1] == "--" and not rest[0].isdecimal()
        if name in given or not named or before[-1:] == ["--"]:
            return args
        return [*before, "--key", rest[0], "--", *rest[2:]]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a word that is not the value of an option."""
        for param in self.params:
            if param.type is COMMAND and ctx.params.get(param.name or ""):
                return param.type.shell_complete(ctx, param, incomplete)
        return super().shell_complete(ctx, incomplete)


def check_name(name: str) -> str:
    """The name itself.  Raises `Misuse` saying what is wrong with it, and what may be meant."""
    fault = fault_of(name)
    if fault is None:
        return name
    hint = f'use "{shown(fault.instead)}"' if fault.instead else _EXAMPLES
    raise Misuse(f'bad key "{shown(name)}": {fault.why}', hint)
