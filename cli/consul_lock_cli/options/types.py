"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from consul_lock_cli.base.console import Misuse, Talk, talk_options
from consul_lock_cli.base.durations import parse_duration
from consul_lock_cli.base.names import check_name
from consul_lock_cli.settings.catalogue import CONFIG_VARIABLE
from consul_lock_cli.settings.context import SettingsContext
from consul_lock_cli.settings.sources import Origin
from consul_lock_cli.spec.connection import PARAMETERS, Connection

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "COMMAND",
    "CRON_NAME",
    "CRON_PREFIX",
    "DURATION",
    "FILE",
    "NAME",
    "POSITIVE",
    "PREFIX",
    "Connection",
    "Duration",
    "Runner",
    "connection_of",
    "connection_options",
    "flagged",
    "talk_options",
]


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
            raise Misuse(f'{flagged(param)}bad duration "{value}": more than 0 is needed')
        return seconds


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
    """A text that is taken as it is, and that a shell knows better how to complete than we do."""

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


class Runner(click.Command):
    """One with a COMMAND to run: what looks like an option behind its first word is not ours."""

    allow_interspersed_args = False

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a word that is not the value of an option."""
        for param in self.params:
            if param.type is COMMAND and ctx.params.get(param.name or ""):
                return param.type.shell_complete(ctx, param, incomplete)
        return super().shell_complete(ctx, incomplete)


# Option, metavar and what --help says; those without a metavar are pairs of flags.
_TEXTS = [
    ("--http-addr", "ADDR", "Where Consul is [CONSUL_HTTP_ADDR; 127.0.0.1:8500]."),
    ("--token", "TOKEN", "ACL token; others can see it in ps [CONSUL_HTTP_TOKEN]."),
    ("--token-file", "FILE", "File with the token [CONSUL_HTTP_TOKEN_FILE]."),
    ("--http-auth", "USER:PASS", "Basic authentication [CONSUL_HTTP_AUTH]."),
    ("--ssl/--no-ssl", None, "Whether to use https:// [CONSUL_HTTP_SSL; as the address says]."),
    ("--ssl-verify/--no-ssl-verify", None,
     "Whether to check the server's certificate [CONSUL_HTTP_SSL_VERIFY]."),
    ("--ca-file", "FILE", "Certificates of the CA [CONSUL_CACERT]."),
    ("--ca-path", "DIR", "Folder of CA certificates [CONSUL_CAPATH]."),
    ("--client-cert", "FILE", "Our own certificate [CONSUL_CLIENT_CERT]."),
    ("--client-key", "FILE", "Its key [CONSUL_CLIENT_KEY]."),
    ("--tls-server-name", "HOST", "The server's name [CONSUL_TLS_SERVER_NAME]."),
    ("--datacenter", "DC", "Datacenter; locks belong to one [the agent's]."),
    ("--namespace", "NS", "Enterprise namespace [CONSUL_NAMESPACE]."),
    ("--partition", "NAME", "Enterprise partition [CONSUL_PARTITION]."),
]  # fmt: skip

_COMPLETED = {"FILE": FILE, "DIR": FOLDER}

# Option, default, and what --help says.
_TIMES = [
    ("--connect-timeout", 3.0, POSITIVE, "How long connecting may take [3s]."),
    ("--request-timeout", 10.0, POSITIVE, "How long one request may take [10s]."),
    ("--retry-for", 30.0, DURATION,
     "How long to try on while Consul fails [30s], as in an election."),
]  # fmt: skip


# What `ps` shows, and what to use instead.
_BETTER = {"token": "--token-file", "http-auth": "CONSUL_HTTP_AUTH"}


def connection_of(ctx: click.Context) -> Connection:
    """The connection that the options of a command ask for."""
    settings = {name: ctx.params.get(name) for name in PARAMETERS.values()}
    origins: dict[str, Origin] = {}
    if isinstance(ctx, SettingsContext):
        origins = {setting: ctx.origin(setting) for setting in PARAMETERS}
    return Connection(settings, origins)


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the connection; the command gets them as ``connection``."""

    @functools.wraps(command)
    def with_connection(**values: Any) -> Any:
        ctx = click.get_current_context()
        connection = connection_of(ctx)
        for name, better in _BETTER.items():
            if connection.origins.get(name, Origin("default")).source == "flag":
                ctx.ensure_object(Talk).warn(
                    f"--{name} can be seen by every user of this machine; {better} cannot"
                )
        others = {k: v for k, v in values.items() if k not in PARAMETERS.values()}
        return command(connection=connection, **others)

    decorated: Callable[..., Any] = with_connection
    for flag, seconds, kind, text in reversed(_TIMES):
        decorated = click.option(flag, type=kind, default=seconds, help=text)(decorated)
    decorated = click.option(
        "--config", type=FILE, metavar="FILE",
        expose_value=False, is_eager=True, callback=_set_config,
        help=f"File with settings [{CONFIG_VARIABLE}; the user's and the system's].",
    )(decorated)  # fmt: skip
    for flag, metavar, text in reversed(_TEXTS):
        name = PARAMETERS[flag.removeprefix("--").partition("/")[0]]
        # A flag without a default is None as long as nobody says anything.
        more: dict[str, Any] = {"metavar": metavar, "type": _COMPLETED.get(metavar or "")}
        decorated = click.option(flag, name, default=None, help=text, **more)(decorated)
    return decorated


def _set_config(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if isinstance(ctx, SettingsContext):
        ctx.config_path = value
