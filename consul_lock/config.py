"""The settings of a connection: the address of Consul and the credentials.

Explicit arguments beat the environment, the environment beats the defaults.  The variables are
those of the Consul command line, with its meaning of each; ``CONSUL_DATACENTER`` is not read,
because that one does not read it either.  Secrets are in no ``repr`` and in no error.
"""

from __future__ import annotations

import binascii
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from consul_lock._config.address import DEFAULT_HOST, DEFAULT_PORT
from consul_lock._config.credentials import (
    TokenFileWarning,
    check_printable,
    find_auth,
    find_token,
    token_source,
)
from consul_lock._config.environment import Environment, FilePath
from consul_lock.errors import ConfigError

if TYPE_CHECKING:
    from ssl import SSLContext  # Costs 5 ms at start-up; most agents are spoken to without TLS.

__all__ = ["Config", "TokenFileWarning"]

CONNECT_TIMEOUT = 3.0
"""Seconds.  An agent is on this host or near it; a lost SYN is sent again after one second."""
REQUEST_TIMEOUT = 10.0
"""Seconds.  A Consul without a leader holds a request for up to 7.4 s and may then answer it."""
RETRY_FOR = 30.0
"""Seconds.  An election after the death of a leader took up to 27.8 s with default settings."""


@dataclass(frozen=True, slots=True)
class Config:
    """The resolved settings of a client.  Build it with `resolve` or `from_consul`.

    ``base_path`` is the prefix of the URL ("" if none), ``unix_socket`` a path or None; ``host``
    and ``port`` mean nothing beside a socket.  ``http_auth`` is (user, password).  ``namespace``
    and ``partition`` are for Consul Enterprise.  Timeouts are seconds; ``retry_for`` is how long
    requests are retried after errors of the server (0: not at all).  Raises ConfigError for bad
    values.

    ``token_file`` is where ``token`` was read.  A client reads it again when it has changed, or the
    token is refused; so it does with the files of TLS.
    """

    scheme: str = "http"
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    unix_socket: str | None = None
    base_path: str = ""
    token: str | None = field(default=None, repr=False)
    http_auth: tuple[str, str] | None = field(default=None, repr=False)
    ca_cert: str | None = None
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    verify: bool = True
    tls_server_name: str | None = None
    datacenter: str | None = None
    namespace: str | None = None
    partition: str | None = None
    connect_timeout: float = CONNECT_TIMEOUT
    request_timeout: float = REQUEST_TIMEOUT
    retry_for: float = RETRY_FOR
    token_file: str | None = None

    def __post_init__(self) -> None:
        _check_seconds("connect_timeout", self.connect_timeout)
        _check_seconds("request_timeout", self.request_timeout)
        _check_seconds("retry_for", self.retry_for, zero=True)
        check_printable("token", "the token", self.token or "")
        if bool(self.client_cert) != bool(self.client_key):
            given, missing = ("certificate", "key") if self.client_cert else ("key", "certificate")
            raise ConfigError(
                problem=f"there is a TLS client {given} but no client {missing}",
                hint="give both (client_cert and client_key, CONSUL_CLIENT_CERT and"
                " CONSUL_CLIENT_KEY) or neither",
                kind="contradiction",
                settings=("client_cert", "client_key"),
            )

    @classmethod
    def resolve(
        cls,
        address: str | None = None,
        *,
        token: str | None = None,
        token_file: FilePath | None = None,
        http_auth: str | tuple[str, str] | None = None,
        ca_cert: FilePath | None = None,
        ca_path: FilePath | None = None,
        client_cert: FilePath | None = None,
        client_key: FilePath | None = None,
        verify: bool | None = None,
        ssl: bool | None = None,
        tls_server_name: str | None = None,
        datacenter: str | None = None,
        namespace: str | None = None,
        partition: str | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        request_timeout: float = REQUEST_TIMEOUT,
        retry_for: float = RETRY_FOR,
        environ: Mapping[str, str] = os.environ,
    ) -> Config:
        """Put arguments, ``environ`` and defaults together; None means not given.

        An empty variable counts as not set, an empty argument switches its variable off.  ``ssl``
        True means https whatever the address says, as in Consul; False means http.
        Raises ConfigError; warns (`TokenFileWarning`) of a token file that others can read.
        """
        env = Environment(environ)
        return cls(
            **env.address(address, ssl)._asdict(),
            token=find_token(token, token_file, environ),
            token_file=token_source(token, token_file, environ),
            http_auth=find_auth(http_auth, environ),
            ca_cert=env.text(ca_cert, "CONSUL_CACERT"),
            ca_path=env.text(ca_path, "CONSUL_CAPATH"),
            client_cert=env.text(client_cert, "CONSUL_CLIENT_CERT"),
            client_key=env.text(client_key, "CONSUL_CLIENT_KEY"),
            verify=env.boolean(verify, "CONSUL_HTTP_SSL_VERIFY", default=True),
            tls_server_name=env.text(tls_server_name, "CONSUL_TLS_SERVER_NAME"),
            datacenter=datacenter or None,
            namespace=env.text(namespace, "CONSUL_NAMESPACE"),
            partition=env.text(partition, "CONSUL_PARTITION"),
            connect_timeout=connect_timeout,
            request_timeout=request_timeout,
            retry_for=retry_for,
        )

    @classmethod
    def from_consul(cls, consul: Any) -> Config:
        """The settings of a ``consul.Consul`` of python-consul2; the environment is not read.

        Its ``timeout``, if it has one, becomes both timeouts, or the first and the second of a
        pair as `requests` takes them.  Raises ConfigError for values that cannot work, and for a
        client of py-consul.
        """
        from pathlib import Path  # Start-up time again: most programs never come here.

        from consul_lock._protocol.consul.python_consul2 import refuse_others

        refuse_others(consul)
        http = consul.http
        timeouts: dict[str, Any] = _timeouts(http.timeout)
        trust = http.verify if isinstance(http.verify, (str, os.PathLike)) else None
        folder = trust is not None and Path(trust).is_dir()
        cert, key = (http.cert, http.cert) if isinstance(http.cert, str) else http.cert or ("", "")
        return cls(
            scheme=http.scheme,
            host=str(http.host).strip("[]"),
            port=int(http.port),
            token=consul.token or None,
            ca_cert=os.fspath(trust) if trust and not folder else None,
            ca_path=os.fspath(trust) if trust and folder else None,
            client_cert=cert or None,
            client_key=key or None,
            verify=bool(http.verify),
            datacenter=consul.dc or None,
            **timeouts,
        )

    @property
    def origin(self) -> str:
        """Where requests go, for messages: "http://127.0.0.1:8500" or "unix:///path"."""
        if self.unix_socket is not None:
            return f"unix://{self.unix_socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.base_path}"

    def headers(self) -> dict[str, str]:
        """The headers with the credentials; they hold secrets."""
        headers = {}
        if self.token:
            headers["X-Consul-Token"] = self.token
        if self.http_auth:
            pair = ":".join(self.http_auth).encode()
            headers["Authorization"] = f"Basic {binascii.b2a_base64(pair, newline=False).decode()}"
        return headers

    def query(self) -> tuple[tuple[str, str], ...]:
        """The parameters that say which datacenter, namespace and partition is meant."""
        places = (("dc", self.datacenter), ("ns", self.namespace), ("partition", self.partition))
        return tuple((name, value) for name, value in places if value)

    def ssl_context(self) -> SSLContext | None:
        """What to wrap connections with, None for plain http.

        The name to check is ``tls_server_name``, else ``host``.  Raises ConfigError for files
        that are missing, no PEM, encrypted, or do not belong together.
        """
        if self.scheme != "https":
            return None

        from consul_lock._config.tls import make_context  # ssl costs a start that needs none

        return make_context(
            ca_cert=self.ca_cert,
            ca_path=self.ca_path,
            client_cert=self.client_cert,
            client_key=self.client_key,
            verify=self.verify,
        )


def _timeouts(timeout: Any) -> dict[str, float]:
    if timeout is None:
        return {}
    connect, request = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    found = {"connect_timeout": connect, "request_timeout": request}
    return {name: value for name, value in found.items() if value is not None}


def _check_seconds(name: str, value: object, *, zero: bool = False) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ConfigError(
            f"{name}: {value!r} is no number of seconds", kind="value", settings=(name,)
        )
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        least = "0 or more" if zero else "more than 0"
        raise ConfigError(
            f"{name}: {value!r} seconds cannot be",
            hint=f"give {least}, and an end to it",
            kind="value",
            settings=(name,),
        )
