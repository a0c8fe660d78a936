"""Checks of the way to the agent: its name, a connection, TLS."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.text import shown
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, Trouble, ok, skip, warn

# Seconds: time to renew a certificate that ends soon.
_SOON = 14 * 86400.0


def name(context: DoctorContext) -> Finding:
    """The host's name has an address."""
    config = context.config
    if config.unix_socket:
        return skip("a unix socket needs no name")
    try:
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise Trouble(
            f"cannot resolve '{shown(config.host)}': {why}",
            "check the spelling, and the search domains in /etc/resolv.conf",
        ) from error
    addresses = dict.fromkeys(str(each[4][0]) for each in found)
    return ok(f"{config.host} resolves to {', '.join(addresses)}")


def connect(context: DoctorContext) -> Finding:
    """Somebody listens there."""
    started = time.monotonic()
    try:
        context.agent.connect().close()
    except OSError as error:
        raise context.agent.unreachable(error) from error
    return ok(f"{context.config.origin} takes connections ({_ms(started)})")


def tls(context: DoctorContext) -> Finding:
    """The certificate is trusted, is for this name, and does not end soon."""
    config = context.config
    if config.scheme != "https":
        return skip(f"{config.origin} is plain HTTP")
    started = time.monotonic()
    with context.agent.secure(context.agent.connect()) as secured:
        version, certificate = secured.version(), secured.getpeercert() or {}
    took = _ms(started)
    ends = certificate.get("notAfter")
    if not isinstance(ends, str):
        # Python gives no details of a certificate that is not checked.
        return ok(f"{version} ({took}); the certificate was not checked")
    left = ssl.cert_time_to_seconds(ends) - time.time()
    if left < _SOON:
        return warn(
            f"the agent's certificate ends in {show_duration(left)}", "renew it on the agent"
        )
    return ok(
        f"{version} ({took}); the certificate is for {_names(certificate)} and ends in"
        f" {show_duration(left)}"
    )


def _names(certificate: Mapping[str, Any]) -> str:
    """All names in it, as --tls-server-name may be one of them."""
    return shown(", ".join(str(name) for _, name in certificate.get("subjectAltName", ())), 160)


def _ms(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.1f}ms"
