"""One kept-alive HTTP connection to Consul, for one request at a time.

The standard library's http.client parses an answer with the e-mail package, which alone costs
more time than Consul needs for a lock; with it half the speed of a bare socket is out of
reach (measured).  So `_reader` reads the answers, and this module connects and sends.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
from urllib.parse import urlencode

from consul_lock._protocol.flow import Request
from consul_lock._reader import Answer, ClosedBeforeAnswer, CutShort, Reader
from consul_lock._version import __version__
from consul_lock.config import Config
from consul_lock.errors import ConfigError, Unavailable


class Connection:
    """A socket and its reader.  Raises `Unavailable` or `ConfigError`, nothing else."""

    def __init__(self, config: Config, context: ssl.SSLContext | None) -> None:
        self._config = config
        self._origin = config.origin
        self._timeout = 0.0
        self._socket = _connect(config, context)
        self._kernel_timeouts = not isinstance(self._socket, ssl.SSLSocket)
        if self._kernel_timeouts:
            self._socket.settimeout(None)
        self._reader = Reader(self._socket.recv)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def exchange(self, data: bytes, timeout: float) -> Answer:
        """Send a request and read its answer.  After an error the connection is closed."""
        self._set_timeout(timeout)
        try:
            self._socket.sendall(data)
            answer = self._reader.read()
        except ClosedBeforeAnswer:
            self.close()
            raise
        except (TimeoutError, BlockingIOError) as error:
            self.close()
            raise Unavailable(
                f"{self._origin} gave no answer within {timeout:.1f} s; it may be overloaded,"
                " frozen, or cut off"
            ) from error
        except (CutShort, OSError) as error:
            self.close()
            raise broken(self._config, error) from error
        except BaseException:
            self.close()
            raise
        if not answer.keep:
            self.close()
        return answer

    def _set_timeout(self, seconds: float) -> None:
        """Python's own time-out costs a poll before each call; the kernel's costs nothing."""
        if seconds == self._timeout:
            return
        self._timeout = seconds
        if not self._kernel_timeouts:
            self._socket.settimeout(seconds)
            return
        whole = int(seconds)
        value = struct.pack("@ll", whole, max(1000, int((seconds - whole) * 1e6)))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def stale(self) -> bool:
        """Whether the idle connection was closed by the other side, or is out of step."""
        return bool(self._poll.poll(0))

    @property
    def closed(self) -> bool:
        return self._socket.fileno() < 0

    def abort(self) -> None:
        """Make an exchange in another thread end at once."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was closed already, which is as good

    def close(self) -> None:
        """Close it; can be repeated."""
        self._socket.close()


def _connect(config: Config, context: ssl.SSLContext | None) -> socket.socket:
    try:
        if config.unix_socket:
            found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            found.settimeout(config.connect_timeout)
            found.connect(config.unix_socket)
        else:
            address = (config.host, config.port)
            found = socket.create_connection(address, config.connect_timeout)
            # Without this every small request waits 40 ms for the acknowledgement of the last.
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise unreachable(config, error) from error
    if context is None:
        return found
    try:
        return context.wrap_socket(found, server_hostname=config.tls_server_name or config.host)
    except (OSError, ValueError) as error:
        found.close()
        raise handshake_failed(config, error) from error


def unreachable(config: Config, error: OSError) -> Unavailable:
    """The error for a connection that could not be made."""
    hint = "is the agent running there? CONSUL_HTTP_ADDR or address= say where it is"
    if isinstance(error, socket.gaierror):
        return Unavailable(
            f"cannot resolve {config.host!r}: {error.strerror}; is the name spelt right?",
            uncertain=False,
        )
    # By its number, as asyncio puts a text of its own in place of the system's.
    why = os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, TimeoutError):
        why = "no answer in time"
    return Unavailable(f"cannot reach Consul at {config.origin}: {why}; {hint}", uncertain=False)


def handshake_failed(config: Config, error: Exception) -> Unavailable | ConfigError:
    """The error for a TLS handshake that failed: mostly a setting, which no retry mends."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigError(
            f"TLS: the certificate of {config.origin} is not trusted ({error.verify_message});"
            " give its CA with ca_cert= or CONSUL_CACERT, or its name with tls_server_name="
        )
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return ConfigError(f"{config.origin} does not speak TLS: use http:// instead of https://")
    if isinstance(error, ssl.SSLError) and "alert" in str(error).lower():
        return ConfigError(
            f"TLS: {config.origin} refused us ({error.reason}): client_cert= needed?"
        )
    return Unavailable(f"TLS with {config.origin} failed: {error}", uncertain=False)


def broken(config: Config, error: BaseException) -> Unavailable | ConfigError:
    """The error for a connection that ended in the middle of an exchange."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__
    # TLS 1.3 refuses a client for its certificate, or for want of one, after the handshake.
    if cause is not None and "CERTIFICATE" in (cause.reason or ""):
        return handshake_failed(config, cause)
    return Unavailable(f"the connection to {config.origin} broke: {error}")


class Encoder:
    """Turns requests into bytes; what is the same for all of a client is made once."""

    def __init__(self, config: Config) -> None:
        host = "localhost" if config.unix_socket else config.host
        host = f"[{host}]" if ":" in host else host
        fixed = {
            "Host": host if config.unix_socket else f"{host}:{config.port}",
            "User-Agent": f"consul-lock/{__version__}",
            "Content-Type": "application/json",
            **config.headers(),
        }
        self.headers = fixed
        """Sent with every request."""
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
        if any(ord(c) < 32 for value in fixed.values() for c in value):
            raise ConfigError("a token or password has a control character in it")
        self._base = config.base_path

    def encode(self, request: Request) -> bytes:
        """The request in one piece, always with its length: Consul ignores a body without."""
        target = self._base + request.path
        if request.params:
            target = f"{target}?{urlencode(request.params)}"
        body = request.body or b""
        head = (
            f"{request.method} {target} HTTP/1.1\r\n{self._fixed}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("latin-1") + body


def blame_plain_http(config: Config, body: bytes) -> None:
    """Raise `ConfigError` if an answer says that we speak plain HTTP to a TLS port."""
    if b"HTTP request to an HTTPS server" in body:
        raise ConfigError(f"{config.origin} speaks TLS: use https:// or CONSUL_HTTP_SSL=true")
