"""The address and the credentials, from the options of a command to a client of the library."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.settings.context import SettingsContext
from consul_lock_cli.settings.sources import FoundSetting, Origin, as_boolean, rank

if TYPE_CHECKING:
    from consul_lock import Client, ConfigError

PARAMETERS = {
    "http-addr": "address",
    "token": "token",
    "token-file": "token_file",
    "http-auth": "http_auth",
    "ssl": "ssl",
    "ssl-verify": "verify",
    "ca-file": "ca_cert",
    "ca-path": "ca_path",
    "client-cert": "client_cert",
    "client-key": "client_key",
    "tls-server-name": "tls_server_name",
    "datacenter": "datacenter",
    "namespace": "namespace",
    "partition": "partition",
    "connect-timeout": "connect_timeout",
    "request-timeout": "request_timeout",
    "retry-for": "retry_for",
}
"""Settings, and what the library calls them."""

_DEFAULT = Origin("default")


@dataclass(frozen=True)
class Connection:
    """What the options say; None leaves it to the environment, which the library reads."""

    settings: Mapping[str, Any] = field(repr=False)
    """By the library's names."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """Where each setting comes from, by its name here; those that are defaults may be missing."""

    def client(self, console: Console | None, **more: Any) -> Client:
        """A client.  The library is imported here, and not before somebody talks to Consul.

        ``console`` prints what the library logs, of all clients; None: another one does already.
        """
        from consul_lock import Client, ConfigError

        if console is not None:
            console.listen()
        address, ssl = self._place()
        settings = {**self.settings, "address": address, "ssl": ssl, **more}
        try:
            return Client(**{k: v for k, v in settings.items() if v is not None})
        except ConfigError as error:
            raise self._in_our_words(error) from error

    def probe(self) -> Client:
        """Another client, which does not retry: it sees at once that Consul does not answer."""
        return self.client(None, retry_for=0.0)

    def _place(self) -> tuple[str | None, bool | None]:
        """The library's ``address`` and ``ssl``; None leaves that to the environment.

        Whichever of address and ``ssl`` comes from the stronger source decides.  From the same
        source, TLS is never dropped.  So does the library with its two sources; the command has
        more.
        """
        given = self._found("http-addr", "address", "CONSUL_HTTP_ADDR")
        ssl = self._found("ssl", "ssl", "CONSUL_HTTP_SSL")
        if ssl is None or (ssl.origin.source == "environment" and not _of_a_file(given)):
            return self.settings.get("address"), None
        address = given or FoundSetting("", _DEFAULT)
        scheme, mark, rest = str(address.value).strip().partition("://")
        stronger = rank(address.origin) < rank(ssl.origin)
        known = scheme.lower() in ("http", "https", "unix")
        if mark and (stronger or not known):
            return str(address.value), None
        if mark and scheme.lower() == "unix":
            return str(address.value), as_boolean(ssl)
        if not mark:  # without a scheme its port is 8500, whatever the protocol
            return str(address.value), as_boolean(ssl)
        return _joined(address, scheme.lower(), rest, ssl), None

    def place(self) -> str:
        """Datacenter, namespace and partition, as far as they are set: elsewhere a name is
        another lock.  Not the address, as one cluster has many."""
        names = ("datacenter", "namespace", "partition")
        variables = {"namespace": "CONSUL_NAMESPACE", "partition": "CONSUL_PARTITION"}
        told = (self.settings.get(n) or os.environ.get(variables.get(n, "")) or "" for n in names)
        return "/".join(told)

    def _found(self, setting: str, name: str, variable: str) -> FoundSetting | None:
        value, origin = self.settings.get(name), self.origins.get(setting, _DEFAULT)
        if value is not None:
            return FoundSetting(value, origin)
        text = os.environ.get(variable)
        return FoundSetting(text, Origin("environment", variable)) if text else None

    def _in_our_words(self, error: ConfigError) -> ConfigError:
        """The same error.  The library calls a setting by the name of its argument, the command
        by where it comes from."""
        found = copy(error)
        found.problem, found.hint = _with_options(error.problem), _with_options(error.hint)
        found.args = (_with_options(str(error)),)
        for setting, name in PARAMETERS.items():
            if name in error.settings:
                where = self.origins.get(setting, _DEFAULT).where or f"--{setting}"
                found.problem = found.problem.replace(f"{name}: ", f"{where}: ", 1)
                found.args = (str(found).replace(f"{name}: ", f"{where}: ", 1),)
        return found


def _with_options(text: str) -> str:
    """The text with options for the library's arguments, as far as these are no common words."""
    for setting, name in PARAMETERS.items():
        if "_" in name:
            # Not as a part of a path, and not before a colon: see the caller.
            text = re.sub(rf"(?<![\w./'\"-]){name}(?![\w./'\":=-])", f"--{setting}", text)
    return text


def _of_a_file(found: FoundSetting | None) -> bool:
    return found is not None and found.origin.source.endswith("file")


def _joined(address: FoundSetting, scheme: str, rest: str, ssl: FoundSetting) -> str:
    secure = as_boolean(ssl)
    if scheme == "https" and not secure and rank(address.origin) == rank(ssl.origin):
        if ssl.origin.source == "flag":
            # Not the address itself: somebody may have put a password into it.
            raise Misuse("--http-addr says https, and there is --no-ssl", "leave one of them out")
        secure = True
    return f"{'https' if secure else 'http'}://{rest}"


def connection_of(ctx: click.Context) -> Connection:
    """The connection that the options of a command ask for."""
    settings = {name: ctx.params.get(name) for name in PARAMETERS.values()}
    origins: dict[str, Origin] = {}
    if isinstance(ctx, SettingsContext):
        origins = {setting: ctx.origin(setting) for setting in PARAMETERS}
    return Connection(settings, origins)
