"""Plain HTTP to the agent, as `consul-lock doctor` looks at each step by itself."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from consul_lock_cli.base.error_table import OWN_REFUSED, RENEW
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.doctor.finding import Trouble

T = TypeVar("T")

# Bytes of an answer that are read: the names of all keys are the most that is asked for.
_BODY_MAX = 64 * 1024 * 1024


class AgentAnswer(NamedTuple):
    """What the agent said."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """The body as data; raises `Trouble` for what is none."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise self._foreign() from None

    def read(self, read: Callable[[Any], T]) -> T:
        """What ``read`` makes of the data; raises `Trouble` if they are not of that form."""
        document = self.json()
        try:
            return read(document)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise self._foreign() from None

    def _foreign(self) -> Trouble:
        return Trouble(
            f'this is not an answer of Consul (HTTP {self.status}): "{shown(self.text)}"',
            "is there another program, or a proxy, at this address?",
            ExitCode.CONFIG,
        )

    @property
    def denied(self) -> bool:
        """The token may not do it.  A transaction says so with 409."""
        denial = any(said in self.text for said in ("Permission denied", "ACL not found"))
        return self.status in (401, 403) or (self.status in (409, 500) and denial)


def _body(answer: http.client.HTTPResponse) -> bytes:
    found = answer.read(_BODY_MAX)
    # Without a number it looks itself whether all has come.
    if answer.length:
        raise http.client.IncompleteRead(found, answer.length)
    return found


class _End:
    """Ends a connection after some seconds: the limit of a socket begins anew with each byte, and
    http.client reads interim answers for ever."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self.came = False
        # The connection may be given to TLS, which takes its descriptor: this one stays.
        self._own = connection.dup()
        self._mutex = threading.Lock()
        self._timer = threading.Timer(seconds, self._ends)
        self._timer.daemon = True
        self._timer.start()

    def _ends(self) -> None:
        with self._mutex:
            if self._own.fileno() < 0:
                return  # the answer was a moment quicker
            self.came = True
            with suppress(OSError):
                self._own.shutdown(socket.SHUT_RDWR)

    def cancel(self) -> None:
        """There is an answer, or an error."""
        self._timer.cancel()
        with self._mutex:
            self._own.close()


class AgentClient:
    """One agent.  ``config`` is a `Config` of the library."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self._context: ssl.SSLContext | None = config.ssl_context()

    def connect(self) -> socket.socket:
        """A connection, without TLS.  Raises OSError."""
        config = self.config
        if config.unix_socket:
            found = socket.socket(socket.AF_UNIX)
            found.settimeout(config.connect_timeout)
            found.connect(config.unix_socket)
            return found
        found = socket.create_connection((config.host, config.port), config.connect_timeout)
        # Without this a request after a handshake waits 40 ms for an acknowledgement.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found

    def secure(self, plain: socket.socket) -> ssl.SSLSocket:
        """The connection with TLS.  Raises `Trouble`."""
        assert self._context is not None
        name = self.config.tls_server_name or self.config.host
        try:
            return self._context.wrap_socket(plain, server_hostname=name)
        except (OSError, ValueError) as error:
            plain.close()
            raise self._tls(error) from error

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        timeout: float | None = None,
        **query: Any,
    ) -> AgentAnswer:
        """Ask, over a connection of its own.  Raises `Trouble` if no answer comes.

        ``timeout``: seconds, if not those of the settings.
        """
        config = self.config
        limit = timeout or config.request_timeout
        asked = urlencode([*query.items(), *config.query()])
        target = f"{config.base_path}{quote(path)}" + (f"?{asked}" if asked else "")
        connection = http.client.HTTPConnection(config.host, config.port)
        end = None
        try:
            plain = self.connect()
            end = _End(plain, limit)
            # http.client is given a connection that is there already: it may be a unix socket.
            connection.sock = self.secure(plain) if self._context else plain
            connection.sock.settimeout(limit)
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, target, data, config.headers())
            answer = connection.getresponse()
            text = _body(answer).decode(errors="replace")
            if end.came:
                raise TimeoutError  # what was read is not the whole of it
        except (OSError, http.client.HTTPException, Trouble) as error:
            late = isinstance(error, TimeoutError) or (end is not None and end.came)
            if isinstance(error, Trouble) and not late:
                raise
            raise self._unanswered(error, limit if late else None) from error
        finally:
            if end is not None:
                end.cancel()
            connection.close()
        return self._judged(AgentAnswer(answer.status, dict(answer.headers), text))

    def _unanswered(self, error: Exception, limit: float | None) -> Trouble:
        """No answer came; ``limit``: within so many seconds."""
        if limit is not None:
            return Trouble(
                f"{self.config.origin} gave no answer within {limit:g}s",
                "it may be overloaded, frozen or disconnected: see the agent's log",
            )
        return self._tls(error) if isinstance(error, ssl.SSLError) else self.unreachable(error)

    def _judged(self, answer: AgentAnswer) -> AgentAnswer:
        if answer.status == 400 and "HTTP request to an HTTPS server" in answer.text:
            raise Trouble(
                f"{self.config.origin} speaks TLS only",
                "write https:// in the address, or set CONSUL_HTTP_SSL=true",
                ExitCode.CONFIG,
            )
        if answer.status == 401 and "ACL support disabled" not in answer.text:
            raise Trouble(
                f'a proxy in front of Consul wants a login: HTTP 401 "{shown(answer.text, 120)}"',
                "give it user and password with --http-auth or CONSUL_HTTP_AUTH",
                ExitCode.CONFIG,
            )
        # Consul says 500 also to what it does not accept ("Invalid Session TTL").
        blamed = answer.denied or "Invalid" in answer.text
        if answer.status == 429 or (answer.status >= 500 and not blamed):
            raise Trouble(
                f"Consul answered HTTP {answer.status}: {shown(answer.text.strip(), 120)}",
                "see the logs of the agent and of the servers; 'consul operator raft list-peers'",
            )
        return answer

    def unreachable(self, error: Exception) -> Trouble:
        """No connection, or one that broke."""
        number = getattr(error, "errno", None)
        why = os.strerror(number) if number and number > 0 else str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            why = "no answer in time"
        return Trouble(
            f"cannot reach Consul at {self.config.origin}: {why}",
            "is the agent running there? set its address with --http-addr or CONSUL_HTTP_ADDR",
        )

    def _tls(self, error: Exception) -> Trouble:
        origin, config = self.config.origin, ExitCode.CONFIG
        if isinstance(error, ssl.SSLCertVerificationError):
            hint = "--ca-file or CONSUL_CACERT names its CA; --tls-server-name the name in it"
            if "expired" in error.verify_message:
                hint = RENEW
            return Trouble(
                f"TLS: the certificate of {origin} is not trusted ({error.verify_message})",
                hint,
                config,
            )
        reason = getattr(error, "reason", None) or str(error)
        if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            hint = "write http:// in the address, and unset CONSUL_HTTP_SSL"
            return Trouble(f"{origin} does not speak TLS", hint, config)
        if not isinstance(error, ssl.SSLError):
            return self.unreachable(error)
        hint = "it may want a certificate: --client-cert and --client-key"
        if self.config.client_cert:
            hint = OWN_REFUSED
        return Trouble(f"TLS: {origin} refused the connection ({reason})", hint, config)
