"""The connections of one client of asyncio: an aiohttp session, used with care."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import aiohttp
import yarl

from consul_lock._clock import clock
from consul_lock._connection import (
    Encoder,
    blame_plain_http,
    broken,
    handshake_failed,
    unreachable,
)
from consul_lock._protocol.flow import Reply, Request
from consul_lock.config import Config
from consul_lock.errors import ConfigError, ConsulLockError, Unavailable

POLLS = 64
"""Long polls under way at once, at most; see `consul_lock._transport`."""

REQUESTS = 32
"""Other requests under way at once, at most."""

# Seconds for which an unused connection is kept: less than the period of the default renewal,
# so that a client which only holds or waits has no connection open beside its long poll.
_IDLE = 2.0


class _Broken(aiohttp.ClientError):
    """The connection broke before the answer: nobody knows what became of the request."""


class _SentOnce(aiohttp.ClientResponse):
    """Keeps aiohttp from sending a write again by itself, as it does for any PUT.

    The second answer would hide that the first request was carried out: a session more that
    nobody knows of, or a release that says that the lock was lost.
    """

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        try:
            return await super().start(connection)
        except aiohttp.ClientConnectionError as error:
            if self.method == "GET":
                raise
            raise _Broken(str(error) or "it was closed before the answer") from error


class HttpSession:
    """Sends requests on the running loop; made at the first use, as aiohttp wants it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._context = config.ssl_context()
        self._headers = Encoder(config).headers
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise Unavailable("the client is closed", uncertain=False)
        loop = asyncio.get_running_loop()
        if self._session is None:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                # No Accept-Encoding: Consul would compress even the smallest answer.
                skip_auto_headers=("Accept-Encoding", "User-Agent"),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                response_class=_SentOnce,
            )
        elif self._loop is not loop:
            raise ConfigError(
                "this client was first used on another event loop, and belongs to it: make one"
                " client for each loop"
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._config.unix_socket:
            return aiohttp.UnixConnector(self._config.unix_socket, limit=0, keepalive_timeout=_IDLE)
        return aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE)

    async def exchange(self, request: Request) -> Any:
        """Perform one request."""
        session, config = self._open(), self._config
        seconds = request.timeout or config.request_timeout
        if request.wait:
            # Consul adds up to a sixteenth, and a leaderless one holds a request 7.4 s more.
            seconds += request.wait * 17 / 16
        sent = clock()
        try:
            async with session.request(
                request.method,
                self._url(request),
                data=request.body or b"",
                headers=self._headers,
                allow_redirects=False,
                ssl=self._context if self._context is not None else True,
                server_hostname=config.tls_server_name,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=config.connect_timeout),
            ) as answer:
                body = await answer.read()
        except ConsulLockError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._translated(error, seconds) from error
        if answer.status == 400:
            blame_plain_http(config, body)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return request.parse(Reply(answer.status, headers, body, sent))

    def _url(self, request: Request) -> yarl.URL:
        config = self._config
        host = f"[{config.host}]" if ":" in config.host else config.host
        where = (
            "http://localhost" if config.unix_socket else f"{config.scheme}://{host}:{config.port}"
        )
        query = f"?{urlencode(request.params)}" if request.params else ""
        return yarl.URL(f"{where}{config.base_path}{request.path}{query}", encoded=True)

    def _translated(self, error: Exception, seconds: float) -> ConsulLockError:
        config = self._config
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return handshake_failed(config, error.certificate_error)
        if isinstance(error, aiohttp.ClientConnectorSSLError):
            return handshake_failed(config, error.os_error)
        if isinstance(error, aiohttp.ClientConnectorError):
            return unreachable(config, error.os_error)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return unreachable(config, TimeoutError())
        if isinstance(error, TimeoutError):
            return Unavailable(
                f"{config.origin} gave no answer within {seconds:.1f} s; it may be overloaded,"
                " frozen, or cut off"
            )
        return broken(config, error)

    async def close(self) -> None:
        """Close all connections; can be repeated."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
