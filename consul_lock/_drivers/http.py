"""What the connections and transports of both APIs share: sockets, requests, errors."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from consul_lock._drivers.fork import close_after_fork
from consul_lock._drivers.http_reader import ClosedBeforeAnswer
from consul_lock._drivers.resolver import Address
from consul_lock._protocol.flow import Request
from consul_lock._version import __version__
from consul_lock.config import Config
from consul_lock.errors import ConfigError, ConsulLockError, Unavailable


def held_for(wait: float) -> float:
    """For how long (seconds) a long poll is held at most, beside the time of any request.

    Consul adds up to a sixteenth.  One without a leader holds a request 7.4 s, as it does any.
    """
    return wait * 17 / 16


def client_closed() -> Unavailable:
    """The error of calls that wait while the client is closed, and of those that come later."""
    return Unavailable("the client is closed", kind="closed", uncertain=False)


def silent(config: Config, seconds: float) -> Unavailable:
    """The error for an answer that did not come in time."""
    return Unavailable(
        f"{config.origin} gave no answer within {seconds:.1f} s; it may be overloaded,"
        " frozen, or cut off",
        kind="no-answer",
    )


def backlog(config: Config, places: int, seconds: float) -> Unavailable:
    """The error for a request that found no place among those under way."""
    return Unavailable(
        f"{config.origin} has left {places} requests of this client without an answer for"
        f" {seconds:.1f} s, so no further one was sent",
        kind="backlog",
        uncertain=False,
    )


def hung_up(config: Config, wait: float = 0.0) -> Unavailable:
    """The error for a connection that was closed in place of an answer; ``wait``: for so many
    seconds Consul had nothing to answer, by request."""
    if wait:
        return Unavailable(
            f"{config.origin} hung up on a request that may wait {wait:g} s for its answer",
            hint="a proxy in front of Consul must let an answer take 20 s",
            kind="hung-up",
        )
    return Unavailable(
        f"{config.origin} hung up without an answer: it refuses connections, or has just ended."
        " Consul refuses them when one address has too many (200, unless"
        " limits.http_max_conns_per_client says otherwise)",
        kind="hung-up",
    )


def unreachable(config: Config, error: OSError) -> Unavailable:
    """The error for a connection that could not be made."""
    # By its number, as asyncio puts a text of its own in place of the system's.
    why = os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, TimeoutError):
        why = "no answer in time"
    # They follow from a URL without a port, which was meant for an agent.
    port = (
        ""
        if config.port not in (80, 443) or config.unix_socket
        else (f"; port {config.port} is that of a URL without one, agents have 8500 or 8501")
    )
    return Unavailable(
        f"cannot reach Consul at {config.origin}: {why}{port}",
        hint="is the agent running there? CONSUL_HTTP_ADDR or address= say where it is",
        kind="refused" if isinstance(error, ConnectionRefusedError) else "unreachable",
        uncertain=False,
    )


def handshake_failed(config: Config, error: Exception) -> Unavailable | ConfigError:
    """The error for a TLS handshake that failed: mostly a setting, which no retry mends."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if "expired" in error.verify_message:
            return ConfigError(
                f"TLS: the certificate of {config.origin} has expired",
                hint="renew it, or set the clock of this host",
                kind="certificate-expired",
            )
        return ConfigError(
            f"TLS: the certificate of {config.origin} is not trusted ({error.verify_message})",
            hint="give its CA with ca_cert= or CONSUL_CACERT, or its name with tls_server_name=",
            kind="certificate",
        )
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return ConfigError(
            problem=f"{config.origin} does not speak TLS",
            hint="use http:// instead of https://",
            kind="no-tls",
            settings=("address",),
        )
    if isinstance(error, ssl.SSLError) and "alert" in str(error).lower():
        refused = "the client certificate" if config.client_cert else "the connection"
        hint = "client_cert= needed?"
        if config.client_cert:
            hint = "has it expired, and is it of a CA that the agent trusts?"
        return ConfigError(
            problem=f"TLS: {config.origin} refused {refused} ({error.reason})",
            hint=hint,
            kind="client-certificate",
            settings=("client_cert", "client_key") if config.client_cert else ("client_cert",),
        )
    why = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    return Unavailable(f"TLS with {config.origin} failed: {why}", kind="tls", uncertain=False)


def broken(
    config: Config, error: BaseException, *, begun: bool
) -> ClosedBeforeAnswer | Unavailable | ConfigError:
    """The error for a connection that ended in the middle of an exchange; ``begun``: bytes of
    the answer have come."""
    if isinstance(error, (ConnectionResetError, BrokenPipeError)) and not begun:
        # It was closed before the request had been read, which is how limits refuse a client.
        return ClosedBeforeAnswer(str(error))
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__
    # TLS 1.3 refuses a client for its certificate, or for want of one, after the handshake.
    reason = (cause.reason or "") if cause is not None else ""
    if cause is not None and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return handshake_failed(config, cause)
    return Unavailable(f"the connection to {config.origin} broke: {error}", kind="broken")


@contextmanager
def connecting(config: Config, address: Address) -> Iterator[socket.socket]:
    """A new socket, to be connected in the block; closed after any error there.

    An OSError becomes `Unavailable`.
    """
    found = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        close_after_fork(found)
        if address.family != socket.AF_UNIX:
            # Without this every small request waits 40 ms for the acknowledgement of the last.
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield found
    except OSError as error:
        found.close()
        raise unreachable(config, error) from error
    except BaseException:
        found.close()
        raise


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
            raise ConfigError(
                "a token or password has a control character in it", kind="credentials"
            )
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


def fits_no_request(error: object) -> bool:
    """Whether an answer made no sense as one to its request.

    Most come from something in front of Consul.  But it can be the answer to another request,
    which was sent twice: then every later answer on that connection is one too late, so it is
    not used again.
    """
    return isinstance(error, ConsulLockError) and error.kind in ("proxy", "not-consul")


def blame_plain_http(config: Config, body: bytes) -> None:
    """Raise `ConfigError` if an answer says that plain HTTP was sent to a TLS port."""
    if b"HTTP request to an HTTPS server" in body:
        raise ConfigError(
            problem=f"{config.origin} speaks TLS",
            hint="use https:// or CONSUL_HTTP_SSL=true",
            kind="needs-tls",
            settings=("address",),
        )
