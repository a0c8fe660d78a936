"""The options that say where Consul is, and with which rights it is asked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.headings import headed
from consul_lock_cli.options.types import DURATION, FILE, FOLDER, POSITIVE
from consul_lock_cli.process import libc
from consul_lock_cli.settings.catalogue import CONFIG_VARIABLE
from consul_lock_cli.settings.context import SettingsContext
from consul_lock_cli.settings.sources import Origin
from consul_lock_cli.spec.connection import PARAMETERS, connection_of

# Option, metavar and what --help says; those without a metavar are pairs of flags.
_TEXTS = [
    ("--http-addr", "ADDR", "Where Consul is [CONSUL_HTTP_ADDR; 127.0.0.1:8500]."),
    ("--token", "TOKEN", "ACL token; others can see it in ps at first [CONSUL_HTTP_TOKEN]."),
    ("--token-file", "FILE", "File with the token [CONSUL_HTTP_TOKEN_FILE]."),
    ("--http-auth", "USER:PASS", "Basic authentication [CONSUL_HTTP_AUTH]."),
    ("--ssl/--no-ssl", None, "Whether to use https:// [CONSUL_HTTP_SSL; as the address says]."),
    ("--ssl-verify/--no-ssl-verify", None,
     "Whether to check the server's certificate [CONSUL_HTTP_SSL_VERIFY]."),
    ("--ca-file", "FILE", "Certificates of the CA [CONSUL_CACERT]."),
    ("--ca-path", "DIR", "Folder of CA certificates [CONSUL_CAPATH]."),
    ("--client-cert", "FILE", "Client certificate [CONSUL_CLIENT_CERT]."),
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
     "How long to try on while Consul fails [30s], as in an election; a waiter keeps waiting."),
]  # fmt: skip

# Options that `ps` shows, and what to use instead.
_BETTER = {"token": "--token-file", "http-auth": "CONSUL_HTTP_AUTH"}


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the connection; the command gets them as ``connection``."""

    @functools.wraps(command)
    def with_connection(**values: Any) -> Any:
        ctx = click.get_current_context()
        connection = connection_of(ctx)
        for name, better in _BETTER.items():
            if connection.origins.get(name, Origin("default")).source == "flag":
                libc.hide_in_command_line(str(connection.settings[PARAMETERS[name]]))
                ctx.ensure_object(Console).warn(
                    f"--{name} was visible to every user of this machine until it was read;"
                    f" {better} is not"
                )
        others = {k: v for k, v in values.items() if k not in PARAMETERS.values()}
        return command(connection=connection, **others)

    options = []
    for flag, metavar, text in _TEXTS:
        name = PARAMETERS[flag.removeprefix("--").partition("/")[0]]
        # A flag without a default is None as long as nobody says anything.
        more: dict[str, Any] = {"metavar": metavar, "type": _COMPLETED.get(metavar or "")}
        options.append(click.option(flag, name, default=None, help=text, **more))
    config = click.option(
        "--config", type=FILE, metavar="FILE",
        expose_value=False, is_eager=True, callback=_set_config,
        help=f"File with settings [{CONFIG_VARIABLE}; the user's and the system's].",
    )  # fmt: skip
    times = [
        click.option(flag, type=kind, default=seconds, help=text)
        for flag, seconds, kind, text in _TIMES
    ]
    return headed("Consul", [*options, config, *times])(with_connection)


def _set_config(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if isinstance(ctx, SettingsContext):
        ctx.config_path = value
