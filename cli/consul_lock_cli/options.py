"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from consul_lock_cli.durations import parse_duration
from consul_lock_cli.names import check_name
from consul_lock_cli.talk import Misuse, Talk

if TYPE_CHECKING:
    from consul_lock import Client


class _Duration(click.ParamType):  # type: ignore[type-arg] # not generic in older clicks
    name = "DUR"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if not isinstance(value, str):
            return float(value)
        try:
            return parse_duration(value)
        except ValueError as error:
            raise Misuse(f"{_flag(param)}{error}") from None


class _Name(click.ParamType):  # type: ignore[type-arg] # the same
    name = "KEY"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return check_name(str(value))
        except ValueError as error:
            raise Misuse(str(error), 'use names like "backup" or "jobs/nightly"') from None


def _flag(param: click.Parameter | None) -> str:
    return f"{param.opts[-1]}: " if param else ""


DURATION = _Duration()
NAME = _Name()

# Option, what it is for the Client, and what --help says.
_TEXTS = [
    ("--http-addr", "address", "ADDR", "Where Consul is [CONSUL_HTTP_ADDR; 127.0.0.1:8500]."),
    ("--token", "token", "TOKEN", "ACL token; others can see it in ps [CONSUL_HTTP_TOKEN]."),
    ("--token-file", "token_file", "FILE", "File with the token [CONSUL_HTTP_TOKEN_FILE]."),
    ("--http-auth", "http_auth", "USER:PASS", "Basic authentication [CONSUL_HTTP_AUTH]."),
    ("--ca-file", "ca_cert", "FILE", "Certificates of the CA [CONSUL_CACERT]."),
    ("--ca-path", "ca_path", "DIR", "Folder of CA certificates [CONSUL_CAPATH]."),
    ("--client-cert", "client_cert", "FILE", "Our own certificate [CONSUL_CLIENT_CERT]."),
    ("--client-key", "client_key", "FILE", "Its key [CONSUL_CLIENT_KEY]."),
    ("--tls-server-name", "tls_server_name", "HOST", "The server's name [CONSUL_TLS_SERVER_NAME]."),
    ("--datacenter", "datacenter", "DC", "Datacenter; locks belong to one [the agent's]."),
    ("--namespace", "namespace", "NS", "Enterprise namespace [CONSUL_NAMESPACE]."),
    ("--partition", "partition", "NAME", "Enterprise partition [CONSUL_PARTITION]."),
]  # fmt: skip


@dataclass(frozen=True)
class Connection:
    """Where Consul is and who we are; None leaves it to the environment."""

    settings: dict[str, Any]

    def client(self, talk: Talk, **more: Any) -> Client:
        """A client.  The library is imported here, and not before somebody talks to Consul."""
        from consul_lock import Client

        talk.listen()
        return Client(**self.settings, **more)


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the connection; the command gets them as ``connection``."""

    @functools.wraps(command)
    def with_connection(**values: Any) -> Any:
        names = [name for _, name, _, _ in _TEXTS] + ["verify"]
        connection = Connection({name: values.pop(name) for name in names})
        if connection.settings["token"] is not None:
            talk = click.get_current_context().ensure_object(Talk)
            talk.warn("--token can be seen by every user of this machine; --token-file cannot")
        return command(connection=connection, **values)

    decorated = click.option(
        "--ssl-verify/--no-ssl-verify",
        "verify",
        default=None,
        help="Whether to check the server's certificate [CONSUL_HTTP_SSL_VERIFY].",
    )(with_connection)
    for flag, name, metavar, text in reversed(_TEXTS):
        decorated = click.option(flag, name, metavar=metavar, help=text)(decorated)
    return decorated


def talk_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add -v and -q; the command gets its `Talk` as ``talk``."""

    @functools.wraps(command)
    def with_talk(**values: Any) -> Any:
        return command(talk=click.get_current_context().ensure_object(Talk), **values)

    # Eager: they hold for the error in another option too.
    verbose = click.option(
        "-v", "--verbose", count=True, expose_value=False, is_eager=True, callback=_set_verbosity,
        help="Tell what happens; -vv also shows the traceback of an error.",
    )  # fmt: skip
    quiet = click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, is_eager=True, callback=_set_quiet,
        help="No hints and no warnings.",
    )  # fmt: skip
    return verbose(quiet(with_talk))


def _set_verbosity(ctx: click.Context, param: click.Parameter, value: int) -> None:
    ctx.ensure_object(Talk).verbosity = value


def _set_quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Talk).quiet = value
